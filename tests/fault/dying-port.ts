import { FILE_OPERATIONS, type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';

/** The real operations; the process kills itself before or after its n-th. */
export function dyingPort(at: number, before: boolean): FilePort {
  const real = realFilePort() as unknown as Record<string, (...args: unknown[]) => Promise<void>>;
  let count = 0;
  const dying =
    (operation: string) =>
    async (...args: unknown[]): Promise<void> => {
      const last = ++count === at;
      if (last && before) process.kill(process.pid, 'SIGKILL');
      await real[operation]?.(...args);
      if (last) process.kill(process.pid, 'SIGKILL');
    };
  return Object.fromEntries(FILE_OPERATIONS.map((name) => [name, dying(name)])) as unknown as FilePort;
}
