// Where the photo lies on the screen. Places on the screen are CSS pixels from the stage's corner, places on the photo
// its pixels from its corner: the middle of the first pixel is (0.5, 0.5).

const MARGIN = 24;
const CLOSEST = 40; // CSS pixels that one pixel of the photo may fill

export class View {
  constructor() {
    Object.assign(this, { scale: 1, x: 0, y: 0, width: 1, height: 1, stage: { width: 1, height: 1 }, fitted: true });
  }

  /** Takes a photo's size, and shows all of it. */
  show(width, height) {
    Object.assign(this, { width, height });
    this.fit();
  }

  /** Takes the stage's size; a photo that was fitted stays fitted. */
  resize(width, height) {
    const [dx, dy] = [(width - this.stage.width) / 2, (height - this.stage.height) / 2];
    this.stage = { width, height };
    if (this.fitted) this.fit();
    else this.pan(dx, dy);
  }

  get fittingScale() {
    const margin = this.stage.width > 600 ? MARGIN : MARGIN / 3;
    return Math.min((this.stage.width - 2 * margin) / this.width, (this.stage.height - 2 * margin) / this.height);
  }

  fit() {
    this.scale = Math.max(Math.min(this.fittingScale, CLOSEST), 1e-3);
    this.x = (this.stage.width - this.width * this.scale) / 2;
    this.y = (this.stage.height - this.height * this.scale) / 2;
    this.fitted = true;
  }

  /** Zooms so that the place under the pointer stays there. */
  zoom(factor, at = this.middle) {
    const scale = Math.min(Math.max(this.scale * factor, this.fittingScale / 2, 1e-3), CLOSEST);
    const place = this.toPhoto(at);
    Object.assign(this, { scale, x: at.x - place.x * scale, y: at.y - place.y * scale, fitted: false });
    this.hold();
  }

  pan(dx, dy) {
    Object.assign(this, { x: this.x + dx, y: this.y + dy, fitted: false });
    this.hold();
  }

  /** Keeps a part of the photo on the stage. */
  hold() {
    const keep = 60;
    this.x = Math.min(Math.max(this.x, keep - this.width * this.scale), this.stage.width - keep);
    this.y = Math.min(Math.max(this.y, keep - this.height * this.scale), this.stage.height - keep);
  }

  get middle() {
    return { x: this.stage.width / 2, y: this.stage.height / 2 };
  }

  toPhoto(at) {
    return { x: (at.x - this.x) / this.scale, y: (at.y - this.y) / this.scale };
  }

  toStage(place) {
    return { x: place.x * this.scale + this.x, y: place.y * this.scale + this.y };
  }

  onPhoto(place) {
    return place.x >= 0 && place.y >= 0 && place.x < this.width && place.y < this.height;
  }

  /** The box [x0, y0, x1, y1] of the photo's pixels on the stage, or null where that is the whole photo. */
  get box() {
    const [a, b] = [this.toPhoto({ x: 0, y: 0 }), this.toPhoto({ x: this.stage.width, y: this.stage.height })];
    const [x0, y0] = [Math.max(Math.floor(a.x), 0), Math.max(Math.floor(a.y), 0)];
    const [x1, y1] = [Math.min(Math.ceil(b.x), this.width), Math.min(Math.ceil(b.y), this.height)];
    return x0 > 0 || y0 > 0 || x1 < this.width || y1 < this.height ? [x0, y0, x1, y1] : null;
  }
}
