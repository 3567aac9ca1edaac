// Puts the page together.

import { Actions } from "./actions.js";
import { Crosshair } from "./crosshair.js";
import { Editor } from "./editor.js";
import { fillHelp } from "./help.js";
import { ImageList } from "./images.js";
import { Keyboard, keyTable } from "./keys.js";
import { Mouse } from "./mouse.js";
import { Notice } from "./notice.js";
import { ObjectList } from "./objects.js";
import { Page } from "./page.js";
import { Ring } from "./ring.js";
import { Saving } from "./saving.js";
import * as say from "./sentences.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Touch } from "./touch.js";

const element = (selector) => document.querySelector(selector);

const settings = new Settings();
const editor = new Editor();
const stage = new Stage(element("#stage"), editor, settings);
const actions = new Actions(editor, stage, settings);
const mouse = new Mouse(stage, actions, settings);
const crosshair = new Crosshair(element("#crosshair"), stage, actions, settings);
const notice = new Notice(element("#notice"));
const saving = new Saving(element("#saved"), editor.steps);
const objects = new ObjectList(element("#objects"), editor);
const images = new ImageList(element("#images"), editor);
const page = new Page({ editor, stage, settings, crosshair, objects, actions });
const table = keyTable({ editor, stage, settings, crosshair, page });

new Touch(stage, actions, settings);
new Ring(element("#ring"), stage, settings);
new Keyboard(table, { stage, mouse });
fillHelp(element("#help"), table);

/** Calls back once the browser has put the frame that is being made on the screen. */
function afterFrame(act) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = act;
  requestAnimationFrame(() => port2.postMessage(null));
}

let behind = false; // whether bars and lists are to be brought up to date

/** Draws the masks with the next frame; bars and lists, which take their time, come after it. */
function show() {
  stage.redraw();
  if (behind) return;
  behind = true;
  afterFrame(() => {
    behind = false;
    objects.show();
    images.show();
    page.show();
    notice.review();
  });
}

editor.addEventListener("change", show);
settings.addEventListener("change", () => {
  if (!settings.paints) actions.penUp();
  show();
});
stage.addEventListener("move", () => page.showZoom());
editor.addEventListener("say", ({ detail }) => afterFrame(() => notice.say(detail)));
editor.addEventListener("steps", () => {
  const { trouble, waiting } = editor.steps;
  notice.stand(trouble && waiting.length ? say.unsent(waiting.length, trouble) : null);
  saving.follow();
});
editor.addEventListener("photo", () => {
  crosshair.hide();
  stage.show(editor.image.width, editor.image.height);
  history.replaceState(null, "", `#${encodeURIComponent(editor.image.name)}`);
  document.title = `${editor.image.name} – focalrt`;
  if (!editor.items.length) notice.say(say.welcome);
  saving.follow();
});
editor.addEventListener("answer", ({ detail }) => {
  const { action, since, milliseconds } = detail;
  stage.redraw();
  afterFrame(() => performance.measure(`focalrt ${action}`, { start: since, detail: milliseconds }));
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") editor.refresh();
});
window.addEventListener("focus", () => editor.refresh());

/** The image that the page's address names. */
function asked() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

editor.start(asked()).catch((error) => notice.say(say.trouble(error.message)));
