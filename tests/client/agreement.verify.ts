// Our validation and the real client's agree on plugins with one fault each and on good ones.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FAULTS, GOOD, MENDED } from '../packaging/one-fault.ts';
import { SHAPES } from '../packaging/shapes/index.ts';
import { pluginFiles } from '../support/plugin-files.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { type Comparison, compareAll, writeSource } from './agreement/compare.ts';
import { confusionTable, missed, stricter } from './agreement/table.ts';

/** Every so many of the thousand shapes; their verdicts were all taken from the client (`AGREEMENT_STEP=1` asks for each again). */
const STEP = Number(process.env.AGREEMENT_STEP ?? 8);

let home: TempHome;
let all: Comparison[] = [];
/** Name → verdict that is written down. */
const shapes = new Map<string, string>();
const named = (kind: string): Comparison[] => all.filter((c) => c.name.startsWith(kind));

beforeAll(async () => {
  home = await tempHome('agreement');
  const root = join(home.project, 'plugins');
  const folders: string[] = [];
  for (const [kind, cases] of Object.entries({ broken: FAULTS, mended: MENDED })) {
    for (const [what, , contents] of cases) {
      const folder = join(root, kind, what);
      folders.push(folder);
      await writeSource(folder, pluginFiles(contents));
    }
  }
  for (const [what, contents, executable = []] of GOOD) {
    const folder = join(root, 'good', what);
    folders.push(folder);
    await writeSource(folder, pluginFiles(contents, executable));
  }
  for (const [i, [what, , contents]] of SHAPES.entries()) {
    if (i % STEP !== 0) continue;
    const folder = join(root, 'shapes', String(i));
    folders.push(folder);
    await writeSource(folder, pluginFiles(contents));
    shapes.set(`shapes/${i}`, SHAPES[i]?.[1] ?? what);
  }
  all = await compareAll(home, root, folders);
  console.log(confusionTable(all));
}, 900_000);
afterAll(() => home.remove());

it('we fail all that the client fails', () => {
  expect(named('broken').length).toBeGreaterThanOrEqual(60);
  expect(missed(all).map((c) => [c.name, c.clientErrors])).toEqual([]);
});

it('good plugins pass in both', () => {
  expect(named('good').length).toBeGreaterThanOrEqual(30);
  expect(named('good').filter((c) => c.client !== 'pass' || c.ours !== 'pass')).toEqual([]);
});

it('what we refuse beyond the client is what extra-errors.test.ts proves not to work', () => {
  expect(
    stricter(all)
      .filter((c) => !c.name.startsWith('shapes/'))
      .map((c) => c.name.replace(/^broken\//, ''))
      .sort(),
  ).toEqual(['mcp_tool on SessionStart', 'range of no version', 'rule as matcher beside an if']);
});

it('the client says of each shape what is written down of it', () => {
  const said = (c: Comparison): string => {
    if (c.client === 'fail') return 'fail';
    return c.ours === 'fail' ? 'never works' : 'pass';
  };
  expect(named('shapes/').length).toBe(shapes.size);
  expect(named('shapes/').filter((c) => said(c) !== shapes.get(c.name))).toEqual([]);
});
