"use strict";
// The frames of one expression, and the movement of its face: decodes them, warps frames so that the movement is
// larger, and draws arrows. Coordinates are pixels of the crop, 128 x 128, to the right and down.

const SIDE = 128; // pixels of a crop
const MAP = 33; // nodes in a row of the map from a drawn pixel to the pixel of the frame that it shows
const ROUNDS = 4; // fixed-point steps that invert the movement
const ARROWS = 14; // in a row, and in a column
const LONGEST_ARROW = 1.7; // in distances between two arrows
const ARROW_TIMES = [1, 2, 3, 5, 8, 10, 15]; // how many times as long as the movement arrows can be
const LEAST_PX = 0.12; // a smaller movement is noise, and gets no arrow
const SCALES_PX = [10, 5, 2, 1, 0.5, 0.2, 0.1]; // lengths that the arrow of the scale can stand for
const SCALE_SHARE = 0.25; // of the picture's width: the longest arrow of the scale

/** A clip from its JSON (clip.py), with the pixels of its frames. */
async function decodeClip(data) {
  const image = new Image();
  image.src = data.sheet;
  await image.decode();
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [image.naturalWidth, image.naturalHeight];
  const context = sheet.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = data.frames.map((_, i) =>
    context.getImageData(SIDE * (i % data.columns), SIDE * Math.floor(i / data.columns), SIDE, SIDE).data);
  const field = Int8Array.from(atob(data.field), (character) => character.charCodeAt(0));
  return { ...data, field, pixels };
}

/** The face's own movement since the onset at a place of frame `i`, [x, y] in pixels. */
function movementAt(clip, i, x, y) {
  const { nodes, field, scale } = clip;
  const place = (at) => Math.min(Math.max(((at + 0.5) * nodes) / SIDE - 0.5, 0), nodes - 1.001);
  const [column, row] = [place(x), place(y)];
  const [left, top] = [Math.floor(column), Math.floor(row)];
  const [across, down] = [column - left, row - top];
  const at = 2 * (nodes * (nodes * i + top) + left);
  const mixed = (k) => (1 - down) * ((1 - across) * field[at + k] + across * field[at + 2 + k]) +
    down * ((1 - across) * field[at + 2 * nodes + k] + across * field[at + 2 * nodes + 2 + k]);
  return [scale * mixed(0), scale * mixed(1)];
}

/** The head's motion since the onset at a place of frame `i`, [x, y] in pixels. */
function headAt(clip, i, x, y) {
  const h = clip.head[i];
  const [across, down] = [x / (SIDE / 2) - 1, y / (SIDE / 2) - 1];
  return [h[0] + across * h[2] + down * h[4], h[1] + across * h[3] + down * h[5]];
}

/**
 * Where each node of the drawn picture lies in frame `i`, as [x, y, x, y, ...].
 *
 * A place p of the onset's frame is seen at p + head + movement in frame i. It is drawn at p + times * movement, or, if
 * the head is not held still, at p + head + times * movement.
 */
function sourceMap(clip, i, times, still) {
  const map = new Float32Array(2 * MAP * MAP);
  for (let row = 0; row < MAP; row++) {
    for (let column = 0; column < MAP; column++) {
      const drawn = [(column * SIDE) / (MAP - 1) - 0.5, (row * SIDE) / (MAP - 1) - 0.5];
      let place = drawn;
      let [head, moved] = [[0, 0], [0, 0]];
      for (let round = 0; round < ROUNDS; round++) {
        head = headAt(clip, i, ...place);
        moved = movementAt(clip, i, ...place);
        place = [0, 1].map((k) => drawn[k] - times * moved[k] - (still ? 0 : head[k]));
      }
      const at = 2 * (MAP * row + column);
      map[at] = place[0] + head[0] + moved[0];
      map[at + 1] = place[1] + head[1] + moved[1];
    }
  }
  return map;
}

/** Frame `i` with its movement magnified, as ImageData of `size` x `size` pixels. */
function warped(clip, i, times, still, size) {
  const map = sourceMap(clip, i, times, still);
  const from = clip.pixels[i];
  const picture = new ImageData(size, size);
  const to = picture.data;
  const nodes = (MAP - 1) / size;
  for (let y = 0, at = 0; y < size; y++) {
    const down = (y + 0.5) * nodes;
    const top = Math.min(Math.floor(down), MAP - 2);
    for (let x = 0; x < size; x++, at += 4) {
      const across = (x + 0.5) * nodes;
      const left = Math.min(Math.floor(across), MAP - 2);
      const [a, d] = [across - left, down - top];
      const n = 2 * (MAP * top + left);
      const below = n + 2 * MAP;
      let sx = (1 - d) * ((1 - a) * map[n] + a * map[n + 2]) + d * ((1 - a) * map[below] + a * map[below + 2]);
      let sy = (1 - d) * ((1 - a) * map[n + 1] + a * map[n + 3]) + d * ((1 - a) * map[below + 1] + a * map[below + 3]);
      sx = Math.min(Math.max(sx, 0), SIDE - 1.001);
      sy = Math.min(Math.max(sy, 0), SIDE - 1.001);
      const [fx, fy] = [sx | 0, sy | 0];
      const [rx, ry] = [sx - fx, sy - fy];
      const p = 4 * (SIDE * fy + fx);
      const q = p + 4 * SIDE;
      for (let k = 0; k < 3; k++) {
        to[at + k] = (1 - ry) * ((1 - rx) * from[p + k] + rx * from[p + 4 + k]) +
          ry * ((1 - rx) * from[q + k] + rx * from[q + 4 + k]) + 0.5;
      }
      to[at + 3] = 255;
    }
  }
  return picture;
}

/** Movement at the tails of the arrows in frame `i`: [x, y, across, down] of each. With `head`, the head's is in it. */
function arrowsOf(clip, i, head) {
  const arrows = [];
  for (let n = 0; n < ARROWS * ARROWS; n++) {
    const [x, y] = [n % ARROWS, Math.floor(n / ARROWS)].map((place) => ((place + 0.5) * SIDE) / ARROWS - 0.5);
    const moved = movementAt(clip, i, x, y);
    const whole = head ? headAt(clip, i, x, y).map((part, k) => part + moved[k]) : moved;
    arrows.push([x, y, ...whole]);
  }
  return arrows;
}

/** The longest movement of any arrow in a clip, pixels. */
function longestMovement(clip, head) {
  let longest = 0;
  for (let i = 0; i < clip.frames.length; i++) {
    for (const [, , across, down] of arrowsOf(clip, i, head)) longest = Math.max(longest, Math.hypot(across, down));
  }
  return longest;
}

/** How many times as long as the movement the arrows of a clip are drawn. */
function arrowTimes(longest) {
  const fitting = ARROW_TIMES.filter((times) => times * longest <= (LONGEST_ARROW * SIDE) / ARROWS);
  return fitting.length ? fitting.at(-1) : 1;
}

/** From yellow for no movement to red for the longest of the clip. */
function arrowColour(length, longest) {
  return `hsl(${55 - 55 * Math.min(1, length / (longest || 1))} 100% 55%)`;
}

function drawArrow(context, x, y, across, down, colour, unit) {
  const length = Math.hypot(across, down);
  const head = Math.min(0.4 * length, 4.5 * unit);
  const angle = Math.atan2(down, across);
  const barb = (turn) => [x + across - head * Math.cos(angle + turn), y + down - head * Math.sin(angle + turn)];
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + across, y + down);
  for (const turn of [0.5, -0.5]) {
    context.moveTo(x + across, y + down);
    context.lineTo(...barb(turn));
  }
  for (const [style, width] of [["rgb(0 15 30 / 0.8)", 3.2], [colour, 1.6]]) {
    context.strokeStyle = style;
    context.lineWidth = width * unit;
    context.stroke();
  }
}

/**
 * Draws the arrows of frame `i` on a canvas that shows it, and the scale in a corner.
 *
 * With `head`, the arrows have the head's motion in them. `times` is how many times as long as the movement they are.
 */
function drawArrows(canvas, clip, i, head, longest) {
  const context = canvas.getContext("2d");
  const size = canvas.width / SIDE; // drawn pixels of a pixel of the crop
  const unit = canvas.width / 320;
  const times = arrowTimes(longest);
  context.lineCap = "round";
  for (const [x, y, across, down] of arrowsOf(clip, i, head)) {
    const length = Math.hypot(across, down);
    if (length < LEAST_PX || 0.5 * unit > length * times * size) continue;
    const ends = [across, down].map((part) => part * times * size);
    drawArrow(context, (x + 0.5) * size, (y + 0.5) * size, ...ends, arrowColour(length, longest), unit);
  }
  const px = SCALES_PX.find((length) => length * times * size <= SCALE_SHARE * canvas.width) ?? SCALES_PX.at(-1);
  const [left, bottom] = [10 * unit, canvas.height - 10 * unit];
  context.fillStyle = "rgb(0 15 30 / 0.7)";
  context.fillRect(left - 6 * unit, bottom - 16 * unit, px * times * size + 54 * unit, 24 * unit);
  drawArrow(context, left, bottom - 4 * unit, px * times * size, 0, arrowColour(px, longest), unit);
  context.fillStyle = "#fff";
  context.font = `${13 * unit}px system-ui, sans-serif`;
  context.fillText(`${px} px`, left + px * times * size + 6 * unit, bottom);
}

/** Draws frame `i` of a clip on a canvas. `view`: times, still, arrows, and longest (of the movement, for arrows). */
function drawFrame(canvas, clip, i, view) {
  canvas.getContext("2d").putImageData(warped(clip, i, view.times, view.still, canvas.width), 0, 0);
  if (view.arrows) drawArrows(canvas, clip, i, !view.still, view.longest);
}
