// Ways around an operator's approval and around the audit log: each ends where the straight way would have.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_SURFACE } from '../../server/src/domain/surface/index.ts';
import { surfacesAnew } from '../../server/src/storage/migrations/0150-surfaces-anew.ts';
import { appendAudit, findAuditBreak, proveAudit } from '../../server/src/storage/queries/audit.ts';
import { putSurface } from '../../server/src/storage/queries/trust.ts';
import { ask, ENGINES, publish, register, type TestHub, testHub } from '../hub/support.ts';

const hooks = {
  'hooks/hooks.json': JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command: 'evil' }] }] } }),
};

describe.each(ENGINES)('dodges, on %s', (engine) => {
  let t: TestHub;
  let publisher: string;

  beforeAll(async () => {
    t = await testHub(engine);
    publisher = await t.token(['publisher']);
  });
  afterAll(() => t?.close());
  const offer = (id: unknown) =>
    ask(t.url, 'POST', '/api/plugins/publish', {
      token: publisher,
      body: { plugin_id: id, all: true, accept_surface: true },
    });
  const status = (id: string, to: string) =>
    ask(t.url, 'POST', `/api/plugins/${id}/status`, { token: publisher, body: { status: to } });

  describe('an update that adds a hook is held', () => {
    it.each<[string, (name: string) => Promise<unknown>]>([
      ['as it is', async () => undefined],
      ['after every version before it was deprecated', async (name) => status(`plugin_${name}_1.0.0`, 'deprecated')],
      ['after every version before it was yanked', async (name) => status(`plugin_${name}_1.0.0`, 'yanked')],
      [
        'after every version before it was deleted',
        async (name) => ask(t.url, 'DELETE', `/api/plugins/${name}`, { token: publisher }),
      ],
      [
        'after every version before it was revoked',
        async (name) =>
          ask(t.url, 'POST', `/api/plugins/${name}@1.0.0/revoke`, { token: publisher, body: { reason: 'r' } }),
      ],
    ])('%s', async (what, before) => {
      const name = `quiet-${what.split(' ').at(-1)}`;
      await publish(t.url, publisher, { name });
      ((await before(name)) as { expect?(status: number): unknown } | undefined)?.expect?.(200);
      const wider = (await register(t.url, publisher, { name, version: '1.1.0', files: hooks })).expect(200);
      expect((await offer(wider.id)).expect(200)).toMatchObject({
        status: 'registered',
        held: { added: { commands: ['evil'] } },
      });
      const m = await t.machine(`m-${name}`);
      const plan = (await ask(t.url, 'GET', '/api/machines/me/plan', { token: m.token })).expect(200);
      const text = Buffer.from(String(plan.payload), 'base64').toString();
      expect(text).not.toContain(`plugin_${name}_1.1.0`);
    });

    it('under a lower version too, and text after a yank flows', async () => {
      await publish(t.url, publisher, { name: 'down', version: '2.0.0' });
      const lower = (await register(t.url, publisher, { name: 'down', version: '1.0.0', files: hooks })).expect(200);
      expect((await offer(lower.id)).expect(200)).toHaveProperty('held');
      (await status('plugin_down_2.0.0', 'yanked')).expect(200);
      const text = (await register(t.url, publisher, { name: 'down', version: '2.0.1' })).expect(200);
      expect((await offer(text.id)).expect(200)).not.toHaveProperty('held');
    });
  });

  describe('an update that adds what starts by itself is held', () => {
    const monitors = [{ name: 'm', command: 'evil', description: 'd' }];
    const json = (value: unknown) => JSON.stringify(value);

    it.each<[string, Record<string, unknown>, Record<string, string>, object]>([
      ['monitors', {}, { 'monitors/monitors.json': json(monitors) }, { commands: ['evil'] }],
      [
        'monitors-below',
        { experimental: { monitors: './m.json' } },
        { 'm.json': json(monitors) },
        { commands: ['evil'] },
      ],
      ['monitors-inline', { experimental: { monitors } }, {}, { commands: ['evil'] }],
      [
        'a-module',
        {},
        { 'hooks/hooks.json': json({ modules: ['./m.js'] }), 'hooks/m.js': 'export function register() {}' },
        { commands: ['hooks/m.js'] },
      ],
      [
        'a-list-of-servers',
        {},
        { '.mcp.json': json([{ command: 'evil' }]) },
        { commands: ['evil'], mcp_servers: ['0'] },
      ],
      [
        'a-path-with-turns',
        { hooks: './a/./h.json' },
        { 'a/h.json': hooks['hooks/hooks.json'] },
        { commands: ['evil'] },
      ],
    ])('%s', async (name, manifest, files, added) => {
      await publish(t.url, publisher, { name });
      const wider = (await register(t.url, publisher, { name, version: '1.1.0', files, manifest })).expect(200);
      expect((await offer(wider.id)).expect(200)).toMatchObject({ status: 'registered', held: { added } });
    });

    it('and what only looks is not', async () => {
      await publish(t.url, publisher, { name: 'looks' });
      const manifest = { experimental: { themes: './t', outputStyles: './o' } };
      const files = { 't/x.json': json({ base: 'dark' }), 'o/s.md': '---\nname: s\n---\nText' };
      const same = (await register(t.url, publisher, { name: 'looks', version: '1.1.0', files, manifest })).expect(200);
      expect((await offer(same.id)).expect(200)).not.toHaveProperty('held');
    });

    it('also where an older hub had kept that it does nothing', async () => {
      const files = { 'monitors/monitors.json': json(monitors) };
      await publish(t.url, publisher, { name: 'kept' });
      const wider = (await register(t.url, publisher, { name: 'kept', version: '1.1.0', files })).expect(200);
      const { store } = t.hub.context;
      await store.transact(async (tx) => {
        await putSurface(tx, String(wider.id), String(wider.digest), { surface: NO_SURFACE, code: {} });
        await surfacesAnew.up(tx);
      });
      expect((await offer(wider.id)).expect(200)).toMatchObject({ held: { added: { commands: ['evil'] } } });
    });
  });

  describe('the audit log', () => {
    type Row = { id: number; at: string; actor: string; action: string; target: string; data: string };
    const broken = () => t.hub.context.store.snapshot((tx) => proveAudit(tx)).then((proof) => proof.brokenAt);
    /** Runs on a copy of the log that is given back afterwards. */
    async function tampered(
      change: (rows: (Row & { prev_hash: string; hash: string })[]) => unknown[],
    ): Promise<number | null> {
      const { store } = t.hub.context;
      const rows = await store.read.selectFrom('audit').selectAll().orderBy('id').execute();
      const put = (list: unknown[]) =>
        store.transact(async (tx) => {
          await tx.deleteFrom('audit').execute();
          for (let i = 0; i < list.length; i += 50)
            await tx
              .insertInto('audit')
              .values(list.slice(i, i + 50) as never)
              .execute();
        });
      try {
        await put(change(structuredClone(rows)));
        return await broken();
      } finally {
        await put(rows);
      }
    }

    it.each<[string, Parameters<typeof tampered>[0], (rows: number) => number]>([
      ['an edit of who', (r) => r.map((row) => (row.id === 3 ? { ...row, actor: 'nobody' } : row)), () => 3],
      ['an edit of what', (r) => r.map((row) => (row.id === 3 ? { ...row, data: '{}' } : row)), () => 3],
      ['an edit of when', (r) => r.map((row) => (row.id === 3 ? { ...row, at: '2020' } : row)), () => 3],
      ['a row taken out', (r) => r.filter((row) => row.id !== 4), () => 4],
      ['the first row taken out', (r) => r.slice(1), () => 1],
      ['rows cut off at the end', (r) => r.slice(0, -2), (rows) => rows - 1],
      ['all rows taken out', () => [], () => 1],
      [
        'a row put in at the end',
        (r) => [...r, { ...r.at(-1), id: (r.at(-1)?.id ?? 0) + 1, prev_hash: r.at(-1)?.hash }],
        (rows) => rows + 1,
      ],
      [
        'two rows that changed places',
        (r) => r.map((row) => (row.id === 2 ? { ...r[2], id: 2 } : row.id === 3 ? { ...r[1], id: 3 } : row)),
        () => 2,
      ],
    ])('shows %s', async (_what, change, at) => {
      const { store } = t.hub.context;
      expect(await broken()).toBeNull();
      const rows = (await store.snapshot((tx) => proveAudit(tx))).rows;
      expect(await tampered(change)).toBe(at(rows));
      expect(await broken()).toBeNull();
    });

    it('shows a row with a true hash that the hub did not write', async () => {
      const { store } = t.hub.context;
      const before = await store.snapshot((tx) => proveAudit(tx));
      await store.transact((tx) =>
        appendAudit(tx, '2026-01-01T00:00:00.000Z', { actor: 'a', action: 'b', target: 'c', data: {} }),
      );
      await store.transact((tx) =>
        tx.updateTable('counters').set({ value: before.rows }).where('name', '=', 'audit').execute(),
      );
      expect(await store.snapshot((tx) => findAuditBreak(tx))).toBeNull();
      expect(await broken()).toBe(before.rows + 1);
    });
  });
});
