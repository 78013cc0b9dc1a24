import { HaiveError } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/json/read.ts';
import { isUndeclared, unaccepted } from '../../domain/surface/change.ts';
import type { Surface } from '../../domain/surface/index.ts';
import type { Packed } from '../../domain/version/package.ts';
import { pluginId } from '../../domain/version/record.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { ask } from '../hub/registry.ts';

/** What a plugin that declares nothing does: shown to its publisher before it first goes out. */
export interface FirstSurface {
  id: string;
  name: string;
  version: string;
  surface: Surface;
}

/** An answer, or whom to ask; nothing is no. */
export type Accept = boolean | ((first: FirstSurface) => Promise<boolean>) | undefined;

/** What nobody has accepted yet, as the hub refuses it; null for any other refusal. */
export function firstSurfaceOf(thrown: unknown): FirstSurface | null {
  if (!(thrown instanceof HaiveError) || thrown.code !== 'SURFACE_UNACCEPTED') return null;
  const { id, name, version, surface } = thrown.details ?? {};
  const isList = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'string');
  const isSurface = isJsonObject(surface) && Object.values(surface).every(isList);
  const whole = isSurface && [id, name, version].every((text) => typeof text === 'string');
  return whole ? (thrown.details as unknown as FirstSurface) : null;
}

/**
 * Asks before anything is sent: a version that is registered cannot declare any more what it does.
 * @throws HaiveError SURFACE_UNACCEPTED
 */
export async function acceptFirst(ctx: ClientContext, packed: Packed, accept: Accept): Promise<boolean> {
  const { surface, manifest, record } = packed;
  if (accept === true || !isUndeclared(manifest.raw, surface)) return accept === true;
  if (await ask(ctx, 'author', (hub) => isSettled(hub, record.name))) return false;
  const { name, version } = record;
  const first = { id: pluginId(name, version), name, version, surface };
  if (typeof accept === 'function' && (await accept(first))) return true;
  throw unaccepted(first, surface);
}

/** Whether what this plugin does was declared, accepted or offered before. */
export async function isSettled(hub: HubClient, name: string): Promise<boolean> {
  try {
    return (await hub.call('surface', { params: { id: name } })).accepted;
  } catch (thrown) {
    if (thrown instanceof HaiveError && thrown.http === 404) return false;
    throw thrown;
  }
}
