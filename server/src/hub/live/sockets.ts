import type { LiveSocket } from './socket.ts';

/** The sockets of this process, and whose they are. */
export class LiveSockets {
  readonly all = new Set<LiveSocket>();
  /** Those of machines that take parcels. */
  readonly takers = new Set<LiveSocket>();
  /** Those that watch: they have every event up to `watchedTo`. */
  readonly watchers = new Set<LiveSocket>();
  private readonly byMachine = new Map<string, LiveSocket[]>();

  /** How many machines are connected. */
  get machines(): number {
    return this.byMachine.size;
  }

  machineIds(): Iterable<string> {
    return this.byMachine.keys();
  }

  has(machineId: string): boolean {
    return this.byMachine.has(machineId);
  }

  of(machineIds: Iterable<string>): LiveSocket[] {
    return [...machineIds].flatMap((id) => this.byMachine.get(id) ?? []);
  }

  remember(socket: LiveSocket): void {
    this.all.add(socket);
    const { machineId } = socket.principal;
    if (machineId !== null) this.byMachine.set(machineId, [...this.of([machineId]), socket]);
  }

  forget(socket: LiveSocket): void {
    this.all.delete(socket);
    this.takers.delete(socket);
    this.watchers.delete(socket);
    socket.etag = null;
    const { machineId } = socket.principal;
    if (machineId === null) return;
    const others = this.of([machineId]).filter((mine) => mine !== socket);
    if (others.length > 0) this.byMachine.set(machineId, others);
    else this.byMachine.delete(machineId);
  }
}
