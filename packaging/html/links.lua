-- A link between two pages leads to the HTML of the other one. What was not packed cannot be opened: its words stay, without a link.
local title

local function is_there(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

function Link(link)
  local path, heading = link.target:match("^([^#]*)(.*)$")
  if path == "" or path:match("^%a+:") then return link end
  if not path:match("%.%a+$") or not is_there(path) then return link.content end
  link.target = path:gsub("README%.md$", "index.md"):gsub("%.md$", ".html") .. heading
  return link
end

function Header(header)
  title = title or pandoc.utils.stringify(header)
end

function Meta(meta)
  meta.pagetitle = title
  return meta
end

return { { Link = Link, Header = Header }, { Meta = Meta } }
