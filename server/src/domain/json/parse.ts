/** Levels that JSON from outside may be nested: far more than anybody writes, far fewer than overflow whoever walks them. */
const MAX_LEVELS = 200;

export class TooDeep extends SyntaxError {
  constructor() {
    super(`the nesting is over ${MAX_LEVELS} levels`);
  }
}

/** Whether a value of JSON is nested deeper than is taken from outside. */
export function isTooDeep(value: unknown, levels = MAX_LEVELS): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isTooDeep(inner, levels - 1));
}

/**
 * JSON.parse for what comes from outside.
 * @throws SyntaxError; TooDeep, which is one, where it is nested deeper than is taken
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (isTooDeep(value)) throw new TooDeep();
  return value;
}
