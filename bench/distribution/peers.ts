import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

const portOf = (server: Server): number => {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

const listen = (server: Server): Promise<void> => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

export async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const port = portOf(server);
  server.close();
  return port;
}

export interface Proxy {
  url: string;
  /** Payload bytes both ways since the last `reset`. */
  bytes(): number;
  reset(): void;
  close(): void;
}

/** Carries TCP to `port` with `delayMs` in each direction, and counts. */
export async function startProxy(port: number, delayMs: number): Promise<Proxy> {
  let bytes = 0;
  const open = new Set<Socket>();
  const pipe = (from: Socket, to: Socket): void => {
    from.on('data', (chunk) => {
      bytes += chunk.length;
      if (delayMs === 0) to.write(chunk);
      else setTimeout(() => to.write(chunk), delayMs);
    });
    from.on('close', () => setTimeout(() => to.destroy(), delayMs));
    from.on('error', () => from.destroy());
  };
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const socket of [client, upstream]) open.add(socket.on('close', () => open.delete(socket)));
    pipe(client, upstream);
    pipe(upstream, client);
  });
  await listen(server);
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    bytes: () => bytes,
    reset: () => {
      bytes = 0;
    },
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

export async function git(cwd: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: cwd, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
  const named = ['-c', 'user.name=bench', '-c', 'user.email=bench@example.org', '-c', 'init.defaultBranch=main'];
  return (await execute('git', [...named, ...args], { cwd, env, maxBuffer: 1e8 })).stdout;
}

export interface GitServer {
  /** Of the repository `market.git`. */
  port: number;
  path: string;
  /** Puts these files into the working copy, commits and pushes. */
  commit(files: ReadonlyMap<string, Buffer>): Promise<void>;
  close(): Promise<void>;
}

/** A marketplace repository behind git's own smart HTTP. */
export async function startGit(): Promise<GitServer> {
  const root = await mkdtemp(join(tmpdir(), 'hv-bench-git-'));
  await git(root, 'init', '-q', '--bare', 'market.git');
  await git(root, 'init', '-q', 'work');
  await git(join(root, 'work'), 'remote', 'add', 'origin', join(root, 'market.git'));
  const backend = join((await execute('git', ['--exec-path'])).stdout.trim(), 'git-http-backend');
  const server = createHttp((request, response) => {
    const [path, query = ''] = (request.url ?? '').split('?', 2);
    const cgi = spawn(backend, {
      env: {
        PATH: process.env.PATH ?? '',
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: path ?? '',
        QUERY_STRING: query,
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''),
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        REMOTE_ADDR: '127.0.0.1',
      },
    });
    request.pipe(cgi.stdin);
    let head: Buffer | undefined = Buffer.alloc(0);
    cgi.stdout.on('data', (chunk: Buffer) => {
      if (head === undefined) return void response.write(chunk);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      for (const line of head.toString('latin1', 0, end).split('\r\n')) {
        const colon = line.indexOf(':');
        if (/^status/i.test(line))
          response.statusCode = Number(
            line
              .slice(colon + 1)
              .trim()
              .slice(0, 3),
          );
        else response.setHeader(line.slice(0, colon), line.slice(colon + 1).trim());
      }
      const rest = head.subarray(end + 4);
      head = undefined;
      if (rest.length > 0) response.write(rest);
    });
    cgi.stdout.on('end', () => response.end());
  });
  await listen(server);
  return {
    port: portOf(server),
    path: '/market.git',
    async commit(files) {
      const work = join(root, 'work');
      for (const [path, bytes] of files) {
        const file = join(work, path);
        await mkdir(join(file, '..'), { recursive: true });
        await writeFile(file, bytes);
      }
      await git(work, 'add', '-A');
      await git(work, 'commit', '-q', '-m', 'update');
      await git(work, 'push', '-q', 'origin', 'HEAD:main');
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export interface Verdaccio {
  port: number;
  pid: number;
  /** PUTs one version with this tarball. */
  put(name: string, version: string, tarball: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** @param from a folder that holds node_modules/verdaccio */
export async function startVerdaccio(from: string): Promise<Verdaccio> {
  const folder = await mkdtemp(join(tmpdir(), 'hv-bench-verdaccio-'));
  const port = await freePort();
  const config = join(folder, 'verdaccio.yaml');
  await writeFile(
    config,
    `storage: ${folder}/storage\nlisten: 127.0.0.1:${port}\nauth:\n  htpasswd:\n    file: ${folder}/htpasswd\n` +
      "packages:\n  '**':\n    access: $all\n    publish: $authenticated\nlog: { type: stdout, format: json, level: fatal }\nmax_body_size: 100mb\n",
  );
  const child: ChildProcess = spawn(
    process.execPath,
    [join(from, 'node_modules/verdaccio/bin/verdaccio'), '--config', config],
    { stdio: 'ignore', env: { HOME: folder, PATH: process.env.PATH ?? '' } },
  );
  const url = `http://127.0.0.1:${port}`;
  const answers = (): Promise<boolean> =>
    fetch(url).then(
      (r) => r.ok,
      () => false,
    );
  for (let i = 0; i < 300 && !(await answers()); i++) await sleep(100);
  // As `npm adduser` does: a publisher says who he is, there as here.
  const user = await fetch(`${url}/-/user/org.couchdb.user:bench`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench', password: 'a-password-of-the-bench' }),
  });
  if (!user.ok) throw new Error(`Verdaccio adds no user: ${user.status} ${await user.text()}`);
  const { token } = (await user.json()) as { token: string };
  return {
    port,
    pid: child.pid ?? 0,
    async put(name, version, tarball) {
      const file = `${name}-${version}.tgz`;
      const shasum = createHash('sha1').update(tarball).digest('hex');
      const answer = await fetch(`${url}/${name}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({
          _id: name,
          name,
          'dist-tags': { latest: version },
          versions: { [version]: { name, version, dist: { tarball: `${url}/${name}/-/${file}`, shasum } } },
          _attachments: {
            [file]: {
              content_type: 'application/octet-stream',
              data: tarball.toString('base64'),
              length: tarball.length,
            },
          },
        }),
      });
      if (!answer.ok) throw new Error(`Verdaccio refuses: ${answer.status} ${await answer.text()}`);
    },
    async close() {
      child.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
