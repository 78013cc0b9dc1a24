import * as z from 'zod';
import { HaiveError } from '../errors.ts';
import { isPluginName } from '../names.ts';

/** A machine's exact set, to be had again elsewhere: `hv lock` writes it, `hv sync --frozen` reads it. */
const LOCK_FORMAT = 1;
export const LOCK_NAME = 'haivemind.lock.json';

const Lockfile = z.object({
  format: z.literal(LOCK_FORMAT),
  plugins: z.array(
    z.object({
      name: z.string().refine(isPluginName, 'no name of a plugin'),
      version: z.string(),
      digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    }),
  ),
});

export interface Locked {
  name: string;
  version: string;
  digest: string;
}

/** The text of a lockfile: the same set gives the same bytes. */
export function lockText(plugins: Iterable<Locked>): string {
  const rows = [...plugins].map(({ name, version, digest }) => ({ name, version, digest }));
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  return `${JSON.stringify({ format: LOCK_FORMAT, plugins: rows }, null, 2)}\n`;
}

/** @throws HaiveError LOCK_INVALID */
export function parseLock(text: string, where: string): Locked[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HaiveError('LOCK_INVALID', `${where} is not JSON`, { cause });
  }
  const parsed = Lockfile.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new HaiveError(
      'LOCK_INVALID',
      `${where}: ${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'wrong form'}`,
    );
  }
  const { plugins } = parsed.data;
  const twice = plugins.find((p, i) => plugins.findIndex((q) => q.name === p.name) !== i);
  if (twice !== undefined) throw new HaiveError('LOCK_INVALID', `${where} names ${twice.name} twice`);
  return plugins;
}

export interface LockDifference {
  /** Locked, but absent, or another version or other bytes. */
  install: Locked[];
  /** There, but not locked: names. */
  exclude: string[];
}

/** What must change for `have` to be what is locked. */
export function againstLock(locked: readonly Locked[], have: readonly Locked[]): LockDifference {
  const there = new Map(have.map((p) => [p.name, p]));
  const wanted = new Set(locked.map((p) => p.name));
  return {
    install: locked.filter(({ name, version, digest }) => {
      const here = there.get(name);
      return here?.digest !== digest || here.version !== version;
    }),
    exclude: have.map((p) => p.name).filter((name) => !wanted.has(name)),
  };
}

/** The error that names what is not as locked. @param reasons what speaks against it */
export function lockMismatch(left: LockDifference, reasons: readonly string[], hint?: string): HaiveError {
  const names = [...left.install.map((p) => `${p.name}@${p.version}`), ...left.exclude.map((name) => `no ${name}`)];
  const why = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
  return new HaiveError('LOCK_MISMATCH', `The locked set cannot be had here: ${names.join(', ')}${why}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { install: left.install, exclude: left.exclude },
  });
}

/** Whether nothing differs. */
export const isAsLocked = ({ install, exclude }: LockDifference): boolean =>
  install.length === 0 && exclude.length === 0;
