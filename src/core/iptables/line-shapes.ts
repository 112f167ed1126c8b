import type { Family } from './model.ts';
import { CHAIN_SLOT, JUMP_SLOT, type LineShape } from './read-rule.ts';
import type { Tokens } from './tokens.ts';

const SHAPES_PER_LENGTH = 4;

/**
 * The shapes of lines that were found to be without oddity. A line that differs from one of them only in values that
 * their grammars take is without oddity too, and need not be read: large rulesets are the same few lines over and over.
 */
export class LineShapes {
  readonly #family: Family;
  /** By number of arguments. */
  readonly #shapes = new Map<number, LineShape[]>();
  #next = 0;

  constructor(family: Family) {
    this.#family = family;
  }

  add(shape: LineShape): void {
    const shapes = this.#shapes.get(shape.values.length);
    if (shapes === undefined) {
      this.#shapes.set(shape.values.length, [shape]);
    } else if (shapes.length < SHAPES_PER_LENGTH) {
      shapes.push(shape);
    } else {
      shapes[this.#next % SHAPES_PER_LENGTH] = shape;
      this.#next += 1;
    }
  }

  /** @param isChain  whether a jump's target is a chain of the table at hand */
  fits(tokens: Tokens, isChain: (name: string) => boolean): boolean {
    const shapes = this.#shapes.get(tokens.values.length);
    if (shapes === undefined) return false;
    for (const shape of shapes) if (this.#fitsShape(shape, tokens, isChain)) return true;
    return false;
  }

  #fitsShape(shape: LineShape, tokens: Tokens, isChain: (name: string) => boolean): boolean {
    const { values, quoted } = tokens;
    for (let at = 0; at < values.length; at += 1) {
      const value = values[at] as string;
      if (value === shape.values[at] && quoted[at] === shape.quoted[at]) continue;
      const slot = shape.slots[at] ?? null;
      if (slot === null || slot.canonical(value, this.#family) === null) return false;
      // A bare `!` negates, and a bare dash may begin the next option: such a line is read in full.
      if (quoted[at] === false && (value === '!' || value.startsWith('-'))) return false;
      if ((slot === CHAIN_SLOT || slot === JUMP_SLOT) && !isChain(value)) return false;
    }
    return true;
  }
}
