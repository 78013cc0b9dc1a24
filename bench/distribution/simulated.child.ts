// Machines at protocol level in one process: socket, doorbell, conditional plan, report; no disk. `simulated URL COUNT` with one machine
// token a line on standard input. Says one line when all are connected.
import { Agent, request } from 'node:http';
import WebSocket from 'ws';
import { PLAN_IM } from '../../server/src/domain/plan/delta.ts';

const [url = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

interface Answer {
  status: number;
  etag: string | undefined;
  text: string;
}

function call(
  method: string,
  path: string,
  token: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(
      url + path,
      { method, agent, headers: { authorization: `Bearer ${token}`, ...headers } },
      (answer) => {
        let text = '';
        answer.on('data', (chunk) => {
          text += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, etag: answer.headers.etag, text }));
      },
    );
    req.on('error', reject);
    req.end(body);
  });
}

interface Entry {
  name: string;
  version: string;
  digest: string;
}

async function machine(token: string): Promise<void> {
  let etag: string | undefined;
  let have = new Map<string, Entry>();
  const sync = async (): Promise<void> => {
    const headers: Record<string, string> = etag === undefined ? {} : { 'if-none-match': etag, 'a-im': PLAN_IM };
    const answer = await call('GET', '/api/machines/me/plan', token, headers);
    if (answer.status === 304) return;
    const reply = JSON.parse(answer.text);
    const plan = reply.delta?.plan ?? JSON.parse(Buffer.from(reply.payload, 'base64').toString('utf8'));
    const entries = (plan.plugins as (Entry | [number, number])[]).filter((e): e is Entry => !Array.isArray(e));
    if (reply.delta === undefined) have = new Map();
    for (const { name, version, digest } of entries) have.set(name, { name, version, digest });
    etag = answer.etag;
    const news = entries.map(({ name, version, digest }) => ({ name, version, digest, state: 'verified' }));
    const body = {
      counter: plan.counter,
      haivemind_version: '1.0.0',
      plugins: news,
      partial: reply.delta !== undefined,
      holds: [],
    };
    await call('POST', '/api/machines/me/status', token, { 'content-type': 'application/json' }, JSON.stringify(body));
  };
  await sync();
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/plugins`, {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  socket.on('error', (error) => console.error(error.message));
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.type === 'doorbell')
      setTimeout(() => void sync().catch(console.error), message.spread_ms * Math.random());
  });
  await new Promise<void>((resolve) => socket.once('open', () => resolve()));
}

let input = '';
for await (const chunk of process.stdin) input += chunk;
const tokens = input.split('\n').filter((line) => line !== '');
const workers = Array.from({ length: 32 }, async () => {
  for (let token = tokens.pop(); token !== undefined; token = tokens.pop()) await machine(token);
});
await Promise.all(workers);
console.log('ready');
process.on('SIGTERM', () => process.exit(0));
