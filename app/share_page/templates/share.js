// The page comes alive: progress from the stream, a countdown by the server's clock. Without it, all is there.
"use strict";
const main = document.getElementById("group");
const find = (id) => document.getElementById(id);
const slots = Number(main.dataset.slots);
let ends = Date.parse(main.dataset.ends);
let ahead = Date.parse(main.dataset.now) - Date.now();
let members = null;
let paid = Number(find("paid").textContent);

// As app/share_page/page.py says of an open group.
function stand() {
  if (paid === slots) return "complete";
  if (Date.now() + ahead >= ends) return "deciding";
  if (members === null) return main.dataset.state;
  return members === slots ? "full" : "open";
}

function show(group) {
  if (group.status !== "OPEN") return location.reload();
  ends = Date.parse(group.ends_at);
  ahead = Date.parse(group.now) - Date.now();
  members = group.members;
  paid = group.members_paid;
  find("paid").textContent = paid;
  find("free").textContent = slots - members;
  find("progress").value = paid;
  const bySlot = new Map(group.shown_members.map((member) => [member.slot, member]));
  [...find("people").children].forEach((circle, index) => {
    const member = bySlot.get(index + 1);
    circle.className = !member ? "free" : member.paid ? "paid" : "held";
    circle.textContent = member ? member.name : "free";
  });
  tick();
}

function tick() {
  main.dataset.state = stand();
  const left = Math.max(0, Math.floor((ends - Date.now() - ahead) / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const days = left >= 86400 ? `${Math.floor(left / 86400)} d ` : "";
  find("countdown").textContent =
    `in ${days}${two(Math.floor((left % 86400) / 3600))}:${two(Math.floor((left % 3600) / 60))}:${two(left % 60)}`;
}

// A stream that was refused (full, restarting) is not tried again by the browser itself.
function follow() {
  const stream = new EventSource(`/groupbuy/groups/${main.dataset.group}/stream`);
  stream.addEventListener("group", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000 + Math.random() * 5000);
  });
}

tick();
setInterval(tick, 1000);
follow();
