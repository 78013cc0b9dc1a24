// A proxy that opens ways (CONNECT) to ports of this computer, whatever the name of the host.
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ConnectProxy {
  /** `http://127.0.0.1:PORT`, without a login. */
  url: string;
  port: number;
  /** Where ways were asked for, and with which login. */
  asked: { end: string; login: string | undefined }[];
  /** What it answers instead of opening a way. */
  refuse: number | null;
  /** It takes connections, and never answers. */
  silent: boolean;
  close(): Promise<void>;
}

export async function connectProxy(): Promise<ConnectProxy> {
  const server = createServer((_, answer) => answer.writeHead(400).end());
  const sockets = new Set<Socket>();
  const proxy = { asked: [] as ConnectProxy['asked'], refuse: null as number | null, silent: false };
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.on('connect', (request, client: Socket, head: Buffer) => {
    proxy.asked.push({ end: request.url ?? '', login: request.headers['proxy-authorization'] });
    if (proxy.silent) return;
    if (proxy.refuse !== null) {
      client.end(`HTTP/1.1 ${proxy.refuse} No\r\nContent-Length: 2\r\n\r\nno`);
      return;
    }
    const way = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      way.write(head);
      way.pipe(client).pipe(way);
    });
    sockets.add(way);
    way.on('error', () => client.destroy());
    client.on('close', () => way.destroy());
    way.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  });
}
