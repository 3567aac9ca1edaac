// One calm sentence at the foot of the page: what came of the last thing done, or what stands in the way.

export class Notice {
  constructor(element) {
    this.element = element;
    this.text = element.querySelector(".text");
    this.button = element.querySelector("button");
    this.button.addEventListener("click", () => this.act());
    this.action = null; // of the sentence that is shown
    this.last = null;
    this.standing = null; // shown as long as it holds, whatever else is said
  }

  say(sentence) {
    this.last = sentence;
    if (!this.standing) this.show(sentence);
  }

  /** A sentence about a state that lasts, or null once it is over. */
  stand(sentence) {
    if (sentence?.text === this.standing?.text) return;
    this.standing = sentence;
    this.show(sentence ?? this.last);
  }

  show(sentence) {
    const { text = "", trouble = false, action = null } = sentence ?? {};
    this.text.textContent = text;
    this.element.classList.toggle("trouble", trouble);
    this.button.textContent = action?.label ?? "";
    this.action = action;
    this.review();
  }

  act() {
    if (this.action.holds()) this.action.act();
    this.review();
  }

  /** Takes the button away once its action does not hold any more. Called after every change. */
  review() {
    this.button.hidden = !this.action?.holds();
  }
}
