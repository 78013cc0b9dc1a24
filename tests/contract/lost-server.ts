// A PostgreSQL in front of which connections can be lost without a word, as when its host goes away and another takes its address.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { POSTGRES_URL } from './engines.ts';

export interface LosingServer {
  /** The address of a database, by way of here. */
  through(databaseUrl: string): string;
  /** Nothing passes any more on the connections of now, and nobody closes them. */
  lose(): void;
  close(): void;
}

export async function losingServer(): Promise<LosingServer> {
  const { hostname, port } = new URL(POSTGRES_URL);
  const open = new Set<Socket>();
  const lost = new WeakSet<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port || 5432), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.on('error', () => from.destroy());
      from.on('data', (bytes) => lost.has(from) || to.write(bytes));
      from.on('close', () => lost.has(from) || to.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    through(databaseUrl) {
      const url = new URL(databaseUrl);
      url.hostname = '127.0.0.1';
      url.port = String(typeof address === 'object' ? address?.port : '');
      return url.href;
    },
    lose: () => {
      for (const socket of open) lost.add(socket);
    },
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
