// Everything that is drawn over the photo: masks, withheld changes, crop boxes, clicks.

const HALO = "rgb(0 0 0 / 0.55)";
const MARK = { radius: 6, arm: 3 };

/** editor, view: what there is, and where. ratio: device pixels in a CSS pixel. look: { opacity, boxes, hidden }. */
export function drawScene(context, { editor, view, ratio, look }) {
  const { width, height } = context.canvas;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!editor.image || look.hidden) return;
  const { current } = editor;
  inPhoto(context, view, ratio);
  const scales = { css: view.scale, device: view.scale * ratio };
  for (const item of editor.items) if (item !== current) drawMask(context, item, scales, look.opacity, 0.6);
  if (!current) return;
  drawMask(context, current, scales, look.opacity, 1);
  drawWithheld(context, current, scales);
  if (look.boxes) drawBoxes(context, current.boxes, view.scale);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const click of current.clicks) drawClick(context, click, view, false);
  for (const click of editor.unanswered) drawClick(context, click, view, true);
}

function inPhoto(context, view, ratio) {
  context.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
}

function drawMask(context, item, scales, opacity, weight) {
  const path = item.shape.at(scales.device);
  context.lineJoin = "round";
  context.globalAlpha = opacity * weight;
  context.fillStyle = item.colour;
  context.fill(path, "evenodd");
  context.globalAlpha = weight;
  line(context, path, HALO, 3.5 / scales.css);
  line(context, path, item.colour, 1.75 / scales.css);
  context.globalAlpha = 1;
}

function drawWithheld(context, item, { css: scale, device }) {
  context.globalAlpha = 0.8;
  for (const region of item.withheld) {
    const path = region.at(device);
    context.setLineDash([]);
    line(context, path, HALO, 2 / scale);
    context.setLineDash([4 / scale, 4 / scale]);
    line(context, path, "#fff", 1.25 / scale);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawBoxes(context, { target, focus }, scale) {
  for (const [name, box] of [["target", target], ["focus", focus]]) {
    if (!box) continue;
    const [x0, y0, x1, y1] = box;
    const path = new Path2D();
    path.rect(x0, y0, x1 - x0, y1 - y0);
    line(context, path, HALO, 3 / scale);
    line(context, path, "#fff", 1 / scale);
    label(context, name, x0, y0, scale);
  }
}

function label(context, name, x, y, scale) {
  context.font = `${11 / scale}px system-ui, sans-serif`;
  const width = context.measureText(name).width + 8 / scale;
  context.fillStyle = HALO;
  context.fillRect(x, y, width, 16 / scale);
  context.fillStyle = "#fff";
  context.fillText(name, x + 4 / scale, y + 12 / scale);
}

function line(context, path, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(path);
}

/** A light disk with a plus on the object, a dark one with a minus off it; with a ring until the answer is there. */
function drawClick(context, [px, py, positive], view, unanswered) {
  const { x, y } = view.toStage({ x: px + 0.5, y: py + 0.5 });
  const [ground, sign] = positive ? ["#fff", "#1b1b1f"] : ["#1b1b1f", "#fff"];
  const { radius, arm } = MARK;
  context.lineWidth = 1.5;
  disk(context, x, y, radius, ground);
  context.strokeStyle = sign;
  context.stroke();
  context.beginPath();
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
  if (positive) {
    context.moveTo(x, y - arm);
    context.lineTo(x, y + arm);
  }
  context.stroke();
  if (!unanswered) return;
  context.beginPath();
  context.arc(x, y, radius + 5, 0, 2 * Math.PI);
  context.strokeStyle = "#fff";
  context.stroke();
}

function disk(context, x, y, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}
