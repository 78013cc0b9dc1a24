// 500 tasks, 20 machines that die at random in the middle of their work: none lost, none done twice, none held by two at a time.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LEASE_MS } from '../../server/src/domain/collective.ts';
import { ask, type TestHub, testHub } from '../hub/support.ts';

const TASKS = 500;
const MACHINES = 20;
const DIES = 0.15;

/** mulberry32 */
function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

let now = Date.parse('2026-03-01T10:00:00Z');
let t: TestHub;
beforeAll(async () => {
  t = await testHub('postgres', { deps: { clock: () => new Date(now) } });
});
afterAll(() => t?.close());

it('delegation under load', async () => {
  const seed = Number(process.env.HAIVEMIND_TEST_SEED ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const random = seeded(seed);
  const operator = await t.token(['operator']);
  const machines = await Promise.all(Array.from({ length: MACHINES }, (_, i) => t.machine(`m${i}`)));
  const second = await t.another({ clock: () => new Date(now) });
  for (let i = 0; i < TASKS; i += 50) {
    const body = (n: number) => ({ title: `task ${n}`, max_attempts: 3 });
    const made = Array.from({ length: 50 }, (_, j) =>
      ask(t.url, 'POST', '/api/collective/tasks', { token: operator, body: body(i + j) }),
    );
    for (const answer of await Promise.all(made)) answer.expect(200);
  }
  const all = async () =>
    (await ask(t.url, 'GET', '/api/collective/tasks?limit=500', { token: operator })).expect(200).tasks as {
      id: string;
      status: string;
      attempt: number;
      reason: string;
    }[];
  const ids = (await all()).map((task) => task.id);
  expect(new Set(ids).size).toBe(TASKS);

  /** Attempts granted and endings accepted, by task, as the machines saw them. */
  const granted = new Map<string, number[]>();
  const ended = new Map<string, string[]>();
  const holding = new Map<string, string>();
  const late: { id: string; token: string; attempt: number }[] = [];
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      machines.map(async ({ name, token }, m) => {
        const url = m % 2 === 0 ? t.url : second.url;
        // Everybody runs at the same tasks, each beginning elsewhere.
        for (let i = 0; i < ids.length; i++) {
          const id = ids[(i * 7 + m * 25) % ids.length] as string;
          if (ended.has(id) || (holding.has(id) && random() < 0.9)) continue;
          const claim = await ask(url, 'POST', `/api/collective/tasks/${id}/claim`, { token });
          if (claim.status !== 200) {
            expect(claim.code).toBe('TASK_TAKEN');
            continue;
          }
          const attempt = claim.json.attempt as number;
          expect(holding.get(id), `${id} is held by two`).toBeUndefined();
          holding.set(id, name);
          granted.set(id, [...(granted.get(id) ?? []), attempt]);
          if (random() < DIES) {
            late.push({ id, token, attempt });
            continue;
          }
          const body =
            random() < 0.1
              ? { attempt, status: 'failed', reason: 'no luck' }
              : { attempt, status: 'done', result: name };
          const done = await ask(url, 'POST', `/api/collective/tasks/${id}`, { token, body });
          expect(done.status, done.text).toBe(200);
          ended.set(id, [...(ended.get(id) ?? []), body.status]);
        }
      }),
    );
    // The dead are found out by their leases, and wake up too late.
    now += LEASE_MS + 1000;
    await all();
    for (const { id, token, attempt } of late.splice(0)) {
      const body = { attempt, status: 'done', result: 'a ghost' };
      const answer = await ask(t.url, 'POST', `/api/collective/tasks/${id}`, { token, body });
      expect(answer.code, `seed ${seed}`).toBe('TASK_NOT_YOURS');
      holding.delete(id);
    }
  }
  const after = await all();
  expect(after).toHaveLength(TASKS);
  const tally = { done: 0, failed: 0, gaveUp: 0 };
  for (const task of after) {
    const seen = ended.get(task.id) ?? [];
    expect(granted.get(task.id), task.id).toEqual(Array.from({ length: task.attempt }, (_, i) => i + 1));
    if (seen.length === 0) {
      expect([task.status, task.reason], task.id).toEqual([
        'failed',
        expect.stringContaining('gave up after 3 attempts'),
      ]);
      tally.gaveUp++;
    } else {
      expect([seen.length, task.status], task.id).toEqual([1, seen[0]]);
      if (task.status === 'failed') expect(task.reason).toBe('no luck');
      tally[task.status as 'done' | 'failed']++;
    }
  }
  console.log(JSON.stringify(tally));
  expect(tally.done).toBeGreaterThan(TASKS / 2);
});
