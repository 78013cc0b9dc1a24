// What machines remember, tell each other and do for each other, by `hv` alone: two machines and a hub.
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryServer } from '../collective/memory-server-stand-in.ts';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

let collective: Collective;
let a: TempHome;
let b: TempHome;
beforeAll(async () => {
  collective = await Collective.start();
  a = await collective.machine('a', { groups: ['web'] });
  b = await collective.machine('b', { groups: ['db'], capabilities: ['sql'] });
});
afterAll(() => collective?.close());

const refused = async (home: TempHome, args: string[]) => (await hv(home, args)).stderr;

describe('memories', () => {
  it('are kept, found on the other machine in other words, changed and forgotten', async () => {
    const text = 'The nightly export fails when the warehouse disk is above 85 percent; run vacuum first';
    const kept = await hvOk(a, ['remember', text, '--category', 'runbook', '--tags', 'export,warehouse']);
    expect(kept).toMatchObject({ visibility: 'collective', category: 'runbook', tags: ['export', 'warehouse'] });
    for (const mark of [['--private'], ['--confidentiality', 'pii']]) {
      expect(await hvOk(a, ['remember', 'The zanzibar contract ends in May', ...mark])).toMatchObject({
        visibility: 'private',
      });
    }
    const question = ['recall', 'why', 'did', 'the', 'job', 'break', '--keywords', 'disk full,vacuum'];
    const found = await hvOk(b, question);
    expect(found.memories.slice(0, 3).map((m: { id: string }) => m.id)).toContain(kept.id);
    expect((await hvOk(b, ['recall', 'zanzibar', 'contract'])).memories).toEqual([]);
    expect((await hvOk(a, ['recall', 'zanzibar', 'contract'])).memories).toHaveLength(2);
    expect((await hv(b, question)).stdout).toContain('runbook,export,warehouse');
    expect(await refused(b, ['memories', 'forget', kept.id])).toMatch(/^FORBIDDEN: /);
    expect(await refused(a, ['memories', 'edit', kept.id])).toMatch(/^USAGE: Nothing to change/);
    const changed = await hvOk(a, ['memories', 'edit', kept.id, '--content', 'Run vacuum before the nightly export']);
    expect(changed).toMatchObject({ id: kept.id, category: 'runbook' });
    expect((await hv(b, ['memories', '--tag', 'export'])).stdout).toContain('Run vacuum before');
    const forWeb = await hvOk(a, ['memories', 'edit', kept.id, '--groups', 'web']);
    expect(forWeb).toMatchObject({ id: kept.id, visibility: 'groups', groups: ['web'] });
    expect((await hvOk(b, ['memories'])).memories).toEqual([]);
    const hidden = await hvOk(a, ['memories', 'edit', kept.id, '--content', 'Mine', '--visibility', 'private']);
    expect(hidden).toMatchObject({ content: 'Mine', visibility: 'private' });
    const shared = await hvOk(a, ['memories', 'edit', hidden.id, '--visibility', 'collective']);
    expect((await hvOk(b, ['memories'])).memories).toMatchObject([{ id: shared.id, content: 'Mine' }]);
    await hvOk(a, ['memories', 'forget', shared.id]);
    expect((await hvOk(b, ['memories'])).memories).toEqual([]);
  });

  it('travel as JSON lines; twice changes nothing, a torn line changes nothing at all', async () => {
    await hvOk(a, ['remember', 'Deploys are frozen on Fridays']);
    const file = join(a.project, 'kept.jsonl');
    const { memories: count } = await hvOk(a, ['memories', 'export', file]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(count);
    expect(count).toBe(3);
    expect((await hvOk(a, ['memories', 'export', '--shared'])).map((m: { content: string }) => m.content)).toEqual([
      'Deploys are frozen on Fridays',
    ]);
    const other = await Collective.start();
    try {
      const c = await other.machine('c');
      expect(await hvOk(c, ['memories', 'import', file])).toMatchObject({ added: 3, known: 0 });
      expect(await hvOk(c, ['memories', 'import', file])).toMatchObject({ added: 0, known: 3 });
      const d = await other.machine('d');
      const there = (await hvOk(d, ['memories'])).memories as { content: string; machine: string }[];
      expect(there.map((m) => [m.content, m.machine])).toEqual([['Deploys are frozen on Fridays', 'a (by c)']]);
      await writeFile(file, `${lines[0]}\n{torn`);
      expect(await refused(d, ['memories', 'import', file])).toMatch(/^BODY_INVALID: Line 2 /);
      expect((await hvOk(d, ['memories'])).memories).toHaveLength(1);
      expect(await refused(d, ['memories', 'import'])).toMatch(/^USAGE: /);
    } finally {
      await other.close();
    }
  });

  it('of an existing memory server are taken over page by page; what is held back there stays', async () => {
    const old = Array.from({ length: 450 }, (_, i) => ({
      id: `m${i}`,
      content: `Fact number ${i} of the old server`,
      category: 'infrastructure',
      tags: ['old'],
      machine_id: 'lance-dev',
      created_at: new Date(Date.UTC(2025, 0, 1) + i * 60_000).toISOString(),
    }));
    const held = {
      id: 'secret',
      content: 'The ocelot is confidential',
      metadata: { confidentiality_level: 'internal' },
    };
    for (const stream of [true, false]) {
      const server = await memoryServer([...old, held], stream);
      try {
        const done = await hvOk(b, ['memories', 'import', '--from-server', server.url]);
        expect(done).toEqual(stream ? { added: 450, known: 0, left: 1 } : { added: 0, known: 450, left: 1 });
      } finally {
        await server.close();
      }
    }
    const found = await hvOk(a, ['recall', 'fact', '449', 'old', 'server']);
    expect(found.memories[0]).toMatchObject({
      content: 'Fact number 449 of the old server',
      machine: 'lance-dev (by b)',
    });
    expect((await hvOk(a, ['recall', 'ocelot'])).memories).toEqual([]);
    expect(await refused(b, ['memories', 'import', '--from-server', 'http://127.0.0.1:1/mcp'])).toMatch(
      /^HUB_UNREACHABLE: /,
    );
  });

  it('are kept by the server that memory_server names, private ones never', async () => {
    const server = await memoryServer([]);
    try {
      expect(await refused(b, ['config', 'set', 'memory_server', 'nowhere'])).toMatch(/^CONFIG_INVALID: /);
      await hvOk(b, ['config', 'set', 'memory_server', server.url]);
      await hvOk(b, ['remember', 'The ibex lives on the server', '--tags', 'ibex']);
      await hvOk(b, ['remember', 'The ibex is mine alone', '--private']);
      expect(server.rows.map((r) => r.content)).toEqual(['The ibex lives on the server']);
      const found = (await hvOk(b, ['recall', 'ibex'])).memories as { content: string }[];
      expect(found.map((m) => m.content).sort()).toEqual(['The ibex is mine alone', 'The ibex lives on the server']);
      expect((await hvOk(a, ['recall', 'ibex'])).memories).toEqual([]);
      expect((await hvOk(b, ['memories'])).memories).toHaveLength(2);
      expect(server.calls.at(-1)).toMatchObject({ tool: 'get_recent_memories', args: { hours: 87_600 } });
      expect(await refused(b, ['remember', 'x', '--groups', 'db'])).toMatch(/^BAD_REQUEST: .*knows no groups/);
      await server.close();
      expect((await hvOk(b, ['recall', 'ibex'])).warning).toContain('HUB_UNREACHABLE');
      await hvOk(b, ['config', 'unset', 'memory_server']);
      expect((await hvOk(b, ['recall', 'ibex'])).warning).toBeNull();
    } finally {
      await server.close().catch(() => undefined);
    }
  });
});

it('broadcasts are told, listed and acknowledged', async () => {
  const sent = await hvOk(a, ['broadcast', 'The', 'gateway', 'moved', '--severity', 'warning', '--groups', 'db']);
  expect(sent).toMatchObject({ severity: 'warning', machines: 1, content: 'The gateway moved' });
  expect((await hv(b, ['broadcasts', '--open'])).stdout).toContain('The gateway moved');
  expect(await hvOk(b, ['broadcasts', 'ack'])).toEqual({ acknowledged: 1 });
  expect((await hvOk(b, ['broadcasts', '--open'])).broadcasts).toEqual([]);
  expect((await hvOk(b, ['broadcasts'])).broadcasts[0]).toMatchObject({ acknowledged: true, acknowledged_by: 1 });
  expect(await refused(a, ['broadcast', 'x', '--severity', 'loud'])).toMatch(/^USAGE: .*info, warning, critical/);
  expect(await refused(b, ['broadcasts', 'ack', 'msg_nothing'])).toMatch(
    /^NOT_FOUND: There is no broadcast msg_nothing\. /,
  );
  expect(await refused(a, ['broadcasts', 'eat'])).toMatch(/^USAGE: .*list or ack/);
});

it('a machine announces its role, and tasks find it', async () => {
  await hvOk(b, ['config', 'set', 'role', 'warehouse']);
  await hvOk(b, ['config', 'set', 'about', 'Keeps the warehouse database']);
  const { agents } = await hvOk(a, ['roster', '--capability', 'sql']);
  expect(agents).toEqual([
    expect.objectContaining({ machine: 'b', role: 'warehouse', about: 'Keeps the warehouse database' }),
  ]);
  const made = await hvOk(a, ['delegate', 'Count', 'the', 'rows', '--role', 'Warehouse', '--description', 'of orders']);
  expect(made).toMatchObject({ candidates: ['b'], task: { title: 'Count the rows', role: 'Warehouse' } });
  expect((await hvOk(a, ['delegate', 'Fly', '--role', 'pilot'])).candidates).toEqual([]);
  const { id } = made.task;
  expect(await refused(a, ['tasks', 'take', id])).toMatch(/^NOT_ELIGIBLE: .*role Warehouse, a has none/);
  expect((await hv(b, ['tasks', 'take', id])).stdout).toContain('Count the rows');
  expect(await hvOk(b, ['tasks', 'progress', id, 'half', 'of', 'it'])).toMatchObject({
    status: 'claimed',
    progress: 'half of it',
  });
  expect(await refused(b, ['tasks', 'fail', id])).toMatch(/^USAGE: Say why/);
  expect(await refused(a, ['tasks', 'done', id, '7'])).toMatch(/^TASK_NOT_YOURS: /);
  await hvOk(b, ['tasks', 'done', id, '42', 'rows']);
  const ended = (await hvOk(a, ['tasks', '--status', 'done'])).tasks;
  expect(ended).toEqual([expect.objectContaining({ id, result: '42 rows', claimed_by: 'b' })]);
  const open = (await hvOk(a, ['tasks', '--status', 'open'])).tasks[0];
  expect(await hvOk(a, ['tasks', 'cancel', open.id])).toMatchObject({ status: 'cancelled' });
  expect(await refused(a, ['tasks', 'eat', id])).toMatch(/^USAGE: .*list, take/);
});

it('leaving names what of the person stays, and says nothing where nothing does', async () => {
  const [keeper, other] = [await collective.machine('keeper'), await collective.machine('other')];
  await hvOk(keeper, ['remember', 'Only here.', '--private']);
  const memories = join(keeper.home, '.haivemind', 'memories.json');
  const human = await hv(keeper, ['leave']);
  expect(human).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`stays, for you to keep or delete: ${memories}`),
  });
  expect(await readFile(memories, 'utf8')).toContain('Only here.');
  expect(await hvOk(other, ['leave'])).toMatchObject({ kept: [] });
});
