// The contrast of every text that is seen, as WCAG 2.2 reckons it; those below 4.5.
const LEAST = 4.5;
const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgba = color => {
  pixel.clearRect(0, 0, 1, 1);
  pixel.fillStyle = color;
  pixel.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
const mixed = (top, ground, opacity) => over([...top.slice(0, 3), opacity], ground);
const light = ([r, g, b]) => {
  const [R, G, B] = [r, g, b].map(value => value / 255).map(value => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * R + 0.7152 * G + 0.0722 * B;
};
const contrast = (one, other) => {
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
/** The grounds that an element lays over one: its colour, and over it each colour of each of its pictures. The first picture lies on top. */
const grounds = (style, below) => style.backgroundImage.split(/, (?=[a-z-]+gradient\()/).reduceRight((grounds, picture) => {
  const colors = picture.match(/(?:rgba?|color)\([^()]*\)/g);
  return colors ? grounds.flatMap(ground => colors.map(color => over(rgba(color), ground))) : grounds;
}, [over(rgba(style.backgroundColor), below)]);
/** Pairs of a text's colour and its ground, through all that lies around it. */
const pairs = ([element, ...inner], below) => {
  const style = getComputedStyle(element);
  return grounds(style, below).flatMap(own => {
    const found = inner.length ? pairs(inner, own) : [[over(rgba(style.color), own), own]];
    return found.map(pair => pair.map(color => mixed(color, below, Number(style.opacity))));
  });
};
const page = rgba(matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff");
const faint = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || element.closest(":disabled, script, style, noscript") || !element.checkVisibility({ visibilityProperty: true })) continue;
  const box = element.getBoundingClientRect();
  if (box.width < 2 || box.height < 2) continue;
  const chain = [];
  for (let around = element; around; around = around.parentElement) chain.unshift(around);
  const least = Math.min(...pairs(chain, page).map(([text, ground]) => contrast(text, ground)));
  if (least < LEAST) faint.add(`${least.toFixed(2)}: ${element.tagName} ${element.className}: ${node.data.trim().slice(0, 40)}`);
}
return [...faint];
