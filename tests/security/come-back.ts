// Machines behind one address after a restart of their hub, while somebody beside them floods and guesses: all of them come in.
import http from 'node:http';
import { expect } from 'vitest';
import WebSocket from 'ws';
import { hashSecret, newSecret } from '../../server/src/hub/secrets.ts';
import { insertMachine } from '../../server/src/storage/queries/machines.ts';
import { insertToken } from '../../server/src/storage/queries/tokens.ts';
import { ask, testHub } from '../hub/support.ts';

/** @param machines how many, at protocol level */
export async function comeBack(machines: number): Promise<void> {
  const t = await testHub('sqlite', {
    limits: { addressRequests: { perSecond: 0.001, burst: 50 }, failedAuthPerMinute: 5 },
  });
  try {
    const joinedAt = new Date().toISOString();
    const tokens = Array.from({ length: machines }, () => newSecret());
    await t.hub.context.store.transact(async (tx) => {
      for (const [i, secret] of tokens.entries()) {
        const machine = { id: `machine_${i}`, name: `m${i}`, platform: 'x', haivemindVersion: '1.0.0', joinedAt };
        await insertMachine(tx, { ...machine, groups: [], capabilities: [] });
        const token = { id: `token_${i}`, name: machine.name, hash: hashSecret(secret), machineId: machine.id };
        await insertToken(tx, { ...token, roles: ['machine'], createdAt: joinedAt });
      }
    });
    // Knows no token yet, as after a restart.
    const { url } = await t.another();
    const guess = () => ask(url, 'GET', '/api/whoami', { token: newSecret() });
    const flood = await times(60, () => ask(url, 'GET', '/openapi.json'));
    expect(flood.code).toBe('RATE_LIMITED');
    await times(10, () => guess());
    expect((await guess()).code).toBe('RATE_LIMITED');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 40 });
    const status = (secret: string, path = '/api/whoami') =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = { authorization: `Bearer ${secret}` };
        http
          .get(`${url}${path}`, { agent, headers }, (response) => {
            response.resume().on('end', () => resolve(response.statusCode));
          })
          .on('error', reject);
      });
    const answers = await Promise.all(
      tokens.map((secret, i) => {
        // A neighbour goes on guessing meanwhile.
        if (i % 10 === 0) void status(newSecret());
        return status(secret, i % 2 === 0 ? '/api/machines/me/plan' : '/api/whoami');
      }),
    );
    expect(answers.filter((answer) => answer !== 200)).toEqual([]);
    expect((await guess()).code).toBe('RATE_LIMITED');
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/plugins`, {
      headers: { authorization: `Bearer ${tokens[0]}` },
    });
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    socket.terminate();
    agent.destroy();
  } finally {
    await t.close();
  }
}

/** The answer to the last. */
async function times<T>(count: number, call: () => Promise<T>): Promise<T> {
  for (let i = 1; i < count; i++) await call();
  return call();
}
