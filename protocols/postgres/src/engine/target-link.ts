import type { Socket } from 'node:net'
import type { Clearance, Permit } from '@sallyport/kit'
import { frontend, message, ProtocolError } from '../codec/index.js'

const syncMessage = message(frontend.sync)
const flushMessage = message(frontend.flush)
const noBytes = Buffer.alloc(0)

/**
 * The only way to the target. What runs something takes a {@link Permit} and uses it up, what only parses takes a
 * {@link Clearance}; what is left (Sync, Flush, Describe, Close, the rows of a permitted COPY) can't run a command.
 */
export class TargetLink {
  readonly #socket: Socket
  #corked = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** True when the socket asks the writer to wait. */
  get congested(): boolean {
    return this.#socket.writableNeedDrain
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
    })
  }

  /** Query or Bind. A simple query of several statements has a permit for each. */
  run(permits: readonly Permit[], bytes: Buffer): void {
    for (const permit of permits) permit.consume()
    this.#write(bytes)
  }

  /** Parse. */
  prepare(_cleared: Clearance, bytes: Buffer): void {
    this.#write(bytes)
  }

  /** Execute of a portal whose permit was used at Bind, and which was re-checked. */
  execute(_permit: Permit, bytes: Buffer): void {
    this.#write(bytes)
  }

  /** CopyData, CopyDone, CopyFail of a running COPY FROM STDIN. */
  copy(_permit: Permit, bytes: Buffer): void {
    this.#write(bytes)
  }

  describe(kind: 'statement' | 'portal', name: string): void {
    this.#write(message(frontend.describe, kindByte(kind), cstring(name)))
  }

  close(kind: 'statement' | 'portal', name: string): void {
    this.#write(message(frontend.close, kindByte(kind), cstring(name)))
  }

  sync(): void {
    this.#write(syncMessage)
  }

  flush(): void {
    this.#write(flushMessage)
  }

  /** A statement that can't be parsed: its error puts the target's transaction where the client believes it to be. */
  poisonQuery(): void {
    this.#write(message(frontend.query, cstring(poison)))
  }

  poisonParse(): void {
    this.#write(message(frontend.parse, cstring(poisonName), cstring(poison), Buffer.alloc(2)))
  }

  /** One of the engine's own constant catalog queries, under a name that clients can't use. */
  hiddenQuery(text: string): void {
    const name = cstring(hiddenName)
    this.#write(message(frontend.parse, name, cstring(text), Buffer.alloc(2)))
    this.#write(message(frontend.bind, name, name, Buffer.alloc(6)))
    this.#write(message(frontend.execute, name, Buffer.alloc(4)))
    this.#write(message(frontend.close, kindByte('portal'), name))
    this.#write(message(frontend.close, kindByte('statement'), name))
  }

  terminate(): void {
    this.#socket.end(message(frontend.terminate))
  }

  #write(bytes: Buffer): void {
    if (!this.#corked) {
      // Messages of one turn leave in one packet.
      this.#corked = true
      this.#socket.cork()
      queueMicrotask(() => {
        this.#corked = false
        this.#socket.uncork()
      })
    }
    this.#socket.write(bytes)
  }
}

/** Statement and portal names that the engine keeps to itself. */
export const hiddenName = 'sallyport.hidden'
const poisonName = 'sallyport.denied'
const poison = 'sallyport denied this statement'

/**
 * The server cuts names of statements and portals to 63 bytes (NAMEDATALEN - 1): two that we tell apart would be one to it,
 * and what runs under a name would not be what was decided.
 * @throws {ProtocolError} when a client uses a name of ours, or one that the server would cut
 */
export function checkName(name: string): void {
  if (name.startsWith('sallyport.')) throw new ProtocolError('names that start with "sallyport." are reserved')
  if (name.length > maxNameBytes / 3 && Buffer.byteLength(name) > maxNameBytes) throw new ProtocolError(`names of statements and portals are at most ${maxNameBytes} bytes long`)
}

const maxNameBytes = 63

function cstring(text: string): Buffer {
  return text === '' ? nul : Buffer.from(`${text}\0`, 'utf8')
}

const nul = Buffer.concat([noBytes, Buffer.from([0])])

function kindByte(kind: 'statement' | 'portal'): Buffer {
  return kind === 'statement' ? statementByte : portalByte
}

const statementByte = Buffer.from('S')
const portalByte = Buffer.from('P')
