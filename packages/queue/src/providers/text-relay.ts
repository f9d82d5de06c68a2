/** Hands the text of an answer on and knows whether there was any: what was shown cannot be taken back. */
export class TextRelay {
  readonly onText: ((text: string) => void) | undefined;
  #hasText = false;

  constructor(onText: ((text: string) => void) | undefined) {
    this.onText =
      onText &&
      ((text) => {
        this.#hasText = true;
        onText(text);
      });
  }

  get hasText(): boolean {
    return this.#hasText;
  }
}
