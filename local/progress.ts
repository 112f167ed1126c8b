/** A line on stderr that says what is going on: redrawn in place on a terminal, one line a step elsewhere. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  #shown = '';
  #startedAt = Date.now();

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  /** The text of the current step; calling again with the same text changes nothing off a terminal. */
  show(text: string): void {
    if (text !== this.#shown) this.#startedAt = Date.now();
    if (this.#stream.isTTY) {
      const seconds = Math.round((Date.now() - this.#startedAt) / 1000);
      this.#stream.write(`\r\u001b[2K… ${text}${seconds > 1 ? ` (${seconds} s)` : ''}`);
    } else if (text !== this.#shown) {
      this.#stream.write(`… ${text}\n`);
    }
    this.#shown = text;
  }

  clear(): void {
    if (this.#stream.isTTY && this.#shown !== '') this.#stream.write('\r\u001b[2K');
    this.#shown = '';
  }
}
