import { decodeText } from './manifest.ts';

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that a JSON file holds; undefined when it is missing, not JSON, or no object. */
export function readJson(bytes: Uint8Array | undefined): JsonObject | undefined {
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(decodeText(bytes));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
