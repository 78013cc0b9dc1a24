// The safety scan finds the same with its pre-filters and without them: on what the packages of this repository hold, on each
// rule's own examples wherever they stand, and on random changes of those.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { lintSource } from '@secretlint/core';
import { creator, rules } from '@secretlint/secretlint-rule-preset-recommend';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Finding } from '../../server/src/domain/findings/index.ts';
import { scanPlugin } from '../../server/src/domain/safety/index.ts';
import { good } from '../packaging/one-fault.ts';
import { pluginFiles } from '../support/plugin-files.ts';
import { BY_RULE, COMMENTS, HIDDEN, OVERRIDES, SECRETS } from './scan-examples.ts';

const state = vi.hoisted(() => ({ filters: 'on' as 'on' | 'off' | 'no rule' }));
afterEach(() => {
  state.filters = 'on';
});

vi.mock('../../server/src/domain/safety/pre-filter.ts', async (original) => {
  const real = await original<typeof import('../../server/src/domain/safety/pre-filter.ts')>();
  const isOff = (): boolean => state.filters === 'off';
  return {
    ...real,
    mayHideText: (...args: Parameters<typeof real.mayHideText>) => isOff() || real.mayHideText(...args),
    overridesFor: (...args: Parameters<typeof real.overridesFor>) => (isOff() ? -1 : real.overridesFor(...args)),
    rulesFor: (...args: Parameters<typeof real.rulesFor>) =>
      state.filters === 'no rule' ? [] : real.rulesFor(...args),
  };
});
vi.mock('../../server/src/domain/safety/long-runs.ts', async (original) => {
  const real = await original<typeof import('../../server/src/domain/safety/long-runs.ts')>();
  const longRuns: typeof real.longRuns = (file, least) =>
    state.filters === 'off'
      ? { longest: file.raw.length, text: file.raw, linesWith: () => [{ offset: 0, text: file.raw }] }
      : real.longRuns(file, least);
  return { ...real, longRuns };
});
vi.mock('../../server/src/domain/safety/text-file.ts', async (original) => {
  const real = await original<typeof import('../../server/src/domain/safety/text-file.ts')>();
  const textFiles: typeof real.textFiles = (files) =>
    state.filters === 'off'
      ? real.textFiles(files).map(({ path, bytes, text }) => ({ path, bytes, text, raw: text, isAscii: true }))
      : real.textFiles(files);
  return { ...real, textFiles };
});
vi.mock('../../server/src/domain/safety/secretlint.ts', async (original) => {
  const real = await original<typeof import('../../server/src/domain/safety/secretlint.ts')>();
  const bySecretlint: typeof real.bySecretlint = async (file, runs) => {
    if (state.filters !== 'off') return real.bySecretlint(file, runs);
    const source = { content: file.text, filePath: file.path, ext: '', contentType: 'text' as const };
    const config = { rules: [{ id: '@secretlint/secretlint-rule-preset-recommend', rule: creator }] };
    const { messages } = await lintSource({ source, options: { config, noPhysicFilePath: true, maskSecrets: true } });
    return messages.map((m) => ({
      start: m.range[0],
      length: m.range[1] - m.range[0],
      rule: m.ruleId.split('secretlint-rule-')[1] ?? m.ruleId,
    }));
  };
  return { ...real, bySecretlint };
});

const scan = async (path: string, content: string | Buffer, filters: typeof state.filters): Promise<Finding[]> => {
  state.filters = filters;
  return scanPlugin(pluginFiles({ ...good, [path]: content }));
};

/** Nothing where the scan finds the same with the filters as without. */
async function difference(path: string, content: string | Buffer, filters: 'on' | 'no rule' = 'on') {
  const [without, found] = [await scan(path, content, 'off'), await scan(path, content, filters)];
  return JSON.stringify(without) === JSON.stringify(found)
    ? []
    : [{ path, content: content.toString(), without, found }];
}

const AS_COMMAND = 'commands/a.md';
const EXAMPLES: [text: string, path: string][] = [
  ...BY_RULE.map(([, text, path]): [string, string] => [text, path ?? AS_COMMAND]),
  ...[...SECRETS, ...OVERRIDES, ...HIDDEN].map((text): [string, string] => [text, AS_COMMAND]),
];
const PROSE = 'All of it is plain: nothing to see (as https://docs.example.org/a says).\n'.repeat(120);
const PLACES: [where: string, put: (text: string) => string][] = [
  ['alone', (text) => text],
  ['at the start', (text) => `${text}\n${PROSE}`],
  ['in the middle', (text) => `${PROSE}see ${text}, or\n${PROSE}`],
  ['at the end', (text) => `${PROSE}${text}`],
  ['after a byte order mark', (text) => `\uFEFF${text}`],
  ['behind a NUL byte', (text) => `${PROSE}\0${text}\0`],
  ['in CRLF text', (text) => `${PROSE}${text}\n${PROSE}`.replaceAll(/\r?\n/g, '\r\n')],
  ['in a long line', (text) => `${PROSE.replaceAll('\n', ' ')}${text} ${PROSE.replaceAll('\n', ' ')}`],
  ['behind other characters', (text) => `${'日本語 é 🙂\n'.repeat(40)}“${text}”\n`],
  ['after a run', (text) => `${'x'.repeat(21)} ${text} ${'y'.repeat(17)}`],
];

describe('each example', () => {
  it.each(BY_RULE)('is found: %s %s', async (rule, text, path = AS_COMMAND) => {
    const found = await scan(path, text, 'off');
    expect(found.map((f) => f.message)).toContain(`This looks like a secret (${rule}).`);
  });
  it.each([...SECRETS, ...OVERRIDES, ...HIDDEN])('is found: %j', async (text) => {
    expect(await scan(AS_COMMAND, text, 'off')).not.toEqual([]);
  });
  it('is of every rule but the one that is told too little to report', () => {
    const reporting = rules.map((rule) => rule.meta.id.split('secretlint-rule-')[1]);
    expect(new Set([...BY_RULE.map(([rule]) => rule), 'gcp', 'filter-comments'])).toEqual(new Set(reporting));
  });
  it.each(PLACES)('is found with the filters as without them %s', async (_where, put) => {
    const differences = [];
    for (const [text, path] of EXAMPLES)
      for (const comment of ['', ...COMMENTS]) differences.push(...(await difference(path, put(comment + text))));
    expect(differences).toEqual([]);
  });
  it('shows a filter that loses something', async () => {
    for (const [, text, path = AS_COMMAND] of BY_RULE.filter(([rule]) => rule === 'slack' || rule === 'basicauth'))
      expect(await difference(path, text, 'no rule')).toHaveLength(1);
  });
});

it('finds the same in what the packages hold', async () => {
  const root = join(import.meta.dirname, '../../node_modules');
  const paths = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:md|js|json)$/i.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).size <= 60_000);
  expect(paths.length).toBeGreaterThanOrEqual(1000);
  const differences = [];
  for (const path of paths) {
    const name = /\.md$/i.test(path) ? AS_COMMAND : basename(path);
    differences.push(
      ...(await difference(name, readFileSync(path))).map(({ without, found }) => ({ path, without, found })),
    );
  }
  expect(differences).toEqual([]);
});

describe('random changes', () => {
  const odd = fc.constantFrom(
    ...'\n\r\t \u00A0\u2028\uFEFF\0-_.:/@=<>"\'aAzZ09éſK日🙂',
    '',
    '://',
    '--',
    'x'.repeat(15),
  );
  it('of the examples', async () => {
    const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), drop: fc.nat(2), put: odd });
    const many = fc.array(fc.tuple(fc.constantFrom(...EXAMPLES), odd), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(many, fc.array(edit, { maxLength: 3 }), fc.boolean(), async (examples, edits, broken) => {
        const path = examples[0]?.[0][1] ?? AS_COMMAND;
        let bytes = Buffer.from(examples.map(([[text], after]) => text + after).join(''));
        for (const { at, drop, put } of edits) {
          const from = Math.floor(at * bytes.length);
          bytes = Buffer.concat([bytes.subarray(0, from), Buffer.from(put), bytes.subarray(from + drop)]);
        }
        // a byte that belongs to no character
        if (broken) bytes = Buffer.concat([Buffer.from([0xe2, 0x80]), bytes, Buffer.from([0xc3])]);
        expect(await difference(path, bytes)).toEqual([]);
      }),
      { numRuns: 10_000 },
    );
  });
  it('of pieces of the examples', async () => {
    const halves = EXAMPLES.flatMap(([text]) => [text.slice(0, text.length / 2), text.slice(text.length / 2)]);
    const piece = fc.oneof(fc.constantFrom(...halves), odd, fc.constantFrom(...COMMENTS), fc.string({ maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 12 }),
        fc.constantFrom(AS_COMMAND, 'package.json', '.npmrc', 'run.sh'),
        async (pieces, path) => {
          expect(await difference(path, pieces.join(''))).toEqual([]);
        },
      ),
      { numRuns: 10_000 },
    );
  });
});
