"use strict";
// Plays the clip of the selected expression: in a loop, slowly, frame by frame, and with the movement magnified.

const calmMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
const NAMED = ["onset", "apex", "offset"];

const player = { clip: null, interval: null, fps: 1, at: 0, playing: false, position: 0, clock: null, longest: {}, asked: 0 };

const setting = (id) => Number(byId(id).value);
const holdsStill = () => byId("still").checked;

/** How the frames are drawn now. */
function playerView() {
  const still = holdsStill();
  return { times: setting("magnify"), still, arrows: byId("arrows").checked, longest: player.longest[still] };
}

/** Waits until the page is read to its end: clips come last, so that the curves are there first. */
function pageIsRead() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
}

/** Shows the clip of an interval of a curve, and plays it. Without a clip, says so. */
async function showClip(number, position) {
  const asked = ++player.asked;
  stopPlaying();
  player.clip = null;
  if (!byId(`clip-${number}-${position}`)) {
    byId("clip-note").hidden = false;
    byId("clip-note").textContent = "The pictures are being loaded.";
    await pageIsRead();
  }
  const element = byId(`clip-${number}-${position}`);
  const clip = element && await decodeClip(JSON.parse(element.textContent));
  if (asked !== player.asked) return; // another one was chosen meanwhile
  byId("player").hidden = byId("named").hidden = !clip;
  byId("clip-note").hidden = Boolean(clip);
  byId("clip-note").textContent = "There are no pictures of this expression.";
  if (!clip) return;
  player.clip = clip;
  player.interval = state.curve.intervals[position];
  player.fps = state.curve.fps;
  player.longest = { true: longestMovement(clip, false), false: longestMovement(clip, true) };
  byId("frame").max = String(clip.frames.length - 1);
  showNamedFrames();
  showFrame(0);
  if (!calmMotion.matches) startPlaying();
}

/** No clip is shown: nothing is selected. */
function hideClip() {
  player.asked++;
  stopPlaying();
  player.clip = null;
  byId("player").hidden = byId("named").hidden = byId("clip-note").hidden = true;
}

/** The position of a frame in the clip: the last one that is not after it. */
function positionOf(frame) {
  return Math.max(0, player.clip.frames.findLastIndex((number) => number <= frame));
}

function momentText(frame) {
  const { interval, fps } = player;
  const parts = [`frame ${frame}`, `${(frame / fps).toFixed(3)} s`];
  const name = NAMED.find((named) => interval[named] === frame);
  if (name) parts.push(name);
  else if (frame < interval.onset) parts.push(`${interval.onset - frame} before the onset`);
  else if (frame > interval.offset) parts.push(`${frame - interval.offset} after the offset`);
  else parts.push(`${frame - interval.onset} after the onset`);
  return parts.join(", ");
}

function showFrame(at) {
  const { clip } = player;
  player.at = at;
  byId("frame").value = String(at);
  const text = momentText(clip.frames[at]);
  byId("frame").setAttribute("aria-valuetext", text);
  byId("moment").textContent = text;
  const screen = byId("screen");
  screen.dataset.frame = String(clip.frames[at]);
  drawFrame(screen, clip, at, playerView());
}

/** Shows the frame again, after a control was changed. */
function showAgain() {
  const times = setting("magnify");
  byId("times").textContent = times === 1 ? "as it was" : `${times} times as large`;
  byId("magnify").setAttribute("aria-valuetext", byId("times").textContent);
  if (!player.clip) return;
  showFrame(player.at);
  showNamedFrames();
  const still = holdsStill();
  byId("arrows-note").hidden = !byId("arrows").checked;
  const longest = player.longest[still].toFixed(1);
  byId("arrows-note").textContent = `Movement since the onset, ${still ? "without" : "with"} the head's. Red: ${longest} px of the crop.`;
}

/** The small pictures below the player: onset, apex, offset, and the movement at the apex. */
function showNamedFrames() {
  const { clip, interval } = player;
  const still = holdsStill();
  for (const button of document.querySelectorAll("#pictures button")) {
    const arrows = button.dataset.shows === "movement";
    const frame = interval[arrows ? "apex" : button.dataset.shows];
    const there = clip.frames.includes(frame);
    button.disabled = !there;
    const canvas = button.querySelector("canvas");
    if (there) drawFrame(canvas, clip, positionOf(frame), { times: 1, still, arrows, longest: player.longest[still] });
    else canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    button.querySelector("small").textContent = there ? `${(frame / player.fps).toFixed(2)} s` : "no picture";
  }
}

function tick(now) {
  if (!player.playing) return;
  const { frames } = player.clip;
  const passed = Math.min(0.25, (now - (player.clock ?? now)) / 1000); // after a pause of the tab, go on where it was
  player.clock = now;
  const length = frames.at(-1) - frames[0] + 1;
  player.position = (player.position + passed * player.fps * setting("speed")) % length;
  const at = positionOf(frames[0] + player.position);
  if (at !== player.at) showFrame(at);
  requestAnimationFrame(tick);
}

function startPlaying() {
  if (!player.clip || player.playing) return;
  player.playing = true;
  player.clock = null;
  player.position = player.clip.frames[player.at] - player.clip.frames[0];
  byId("play").textContent = "Pause";
  requestAnimationFrame(tick);
}

function stopPlaying() {
  player.playing = false;
  byId("play").textContent = "Play";
}

/** Stops, and goes some frames of the clip on or back; past the end it begins again. */
function stepFrame(by) {
  if (!player.clip) return;
  stopPlaying();
  const { length } = player.clip.frames;
  showFrame((player.at + by + length) % length);
}

/** What a key does; it is called only where the key has no other meaning. Returns whether it did something. */
function playerKey(key) {
  if (!player.clip) return false;
  if (key === " ") player.playing ? stopPlaying() : startPlaying();
  else if (key === "ArrowLeft") stepFrame(-1);
  else if (key === "ArrowRight") stepFrame(1);
  else return false;
  return true;
}

function startPlayer() {
  byId("play").addEventListener("click", () => (player.playing ? stopPlaying() : startPlaying()));
  byId("frame-back").addEventListener("click", () => stepFrame(-1));
  byId("frame-on").addEventListener("click", () => stepFrame(1));
  byId("frame").addEventListener("input", () => {
    stopPlaying();
    showFrame(setting("frame"));
  });
  for (const id of ["magnify", "still", "arrows"]) byId(id).addEventListener("input", showAgain);
  byId("pictures").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !player.clip) return;
    stopPlaying();
    const movement = button.dataset.shows === "movement";
    if (movement) byId("arrows").checked = true;
    showFrame(positionOf(player.interval[movement ? "apex" : button.dataset.shows]));
    showAgain();
  });
}
