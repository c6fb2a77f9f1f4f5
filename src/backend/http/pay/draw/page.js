"use strict";(function(){var tag=document.body.dataset.tag||'',timer=0,end=0;
function typed(){var e=document.getElementById('number');return e&&(e.value||e===document.activeElement)}
function old(){return document.querySelector('main')}
function left(){return document.querySelector('[data-left]')}
function start(){var e=left();end=e?Date.now()+1000*e.dataset.left:0}
function tick(){var e=left(),s,h,m;if(!e)return;s=Math.max(0,Math.ceil((end-Date.now())/1000));h=Math.floor(s/3600);m=Math.floor(s/60)%60;
e.textContent=(h?h+':'+('0'+m).slice(-2):m)+':'+('0'+s%60).slice(-2)}
function later(){clearTimeout(timer);timer=setTimeout(look,1000*(+old().dataset.next||30))}
function look(){if(document.hidden){later();return}
fetch(location.href,{cache:'no-store',headers:tag?{'If-None-Match':tag}:{}}).then(function(r){if(r.status!==200)return;
tag=r.headers.get('ETag')||'';return r.text().then(function(t){
var fresh=new DOMParser().parseFromString(t,'text/html').querySelector('main');
if(fresh&&!typed()){old().replaceWith(fresh);start()}})}).catch(function(){}).then(later)}
document.addEventListener('visibilitychange',function(){if(!document.hidden){clearTimeout(timer);look()}});
document.addEventListener('click',function(e){if(e.target.id==='print')print()});
document.documentElement.className='j';start();setInterval(tick,1000);later()})()
