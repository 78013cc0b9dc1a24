import { HaiveError } from '../errors.ts';
import { decodeText } from '../version/manifest.ts';
import { parseJson, TooDeep } from './parse.ts';

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that a JSON file holds; undefined when it is missing, not JSON, nested too deeply, or no object. */
export function readJson(bytes: Uint8Array | undefined): JsonObject | undefined {
  try {
    return readWholeJson(bytes);
  } catch {
    return undefined;
  }
}

/**
 * The same for whoever decides by what it holds: the client reads also what is nested too deeply for us.
 * @throws HaiveError COMPONENT_INVALID for that
 */
export function readWholeJson(bytes: Uint8Array | undefined): JsonObject | undefined {
  const value = readAnyJson(bytes);
  return isJsonObject(value) ? value : undefined;
}

/**
 * Any value that a JSON file holds, as the client takes lists too; undefined when it is missing or not JSON.
 * @throws HaiveError COMPONENT_INVALID for what is nested too deeply
 */
export function readAnyJson(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) return undefined;
  try {
    return parseJson(decodeText(bytes));
  } catch (thrown) {
    if (thrown instanceof TooDeep) throw new HaiveError('COMPONENT_INVALID', `Of a JSON file ${thrown.message}`);
    return undefined;
  }
}
