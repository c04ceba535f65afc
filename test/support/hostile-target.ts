import net from 'node:net'

export interface BackendMessage {
  readonly type: string
  readonly body: Buffer
}

/** What a test makes of a message of the real server; nothing given means it is passed on as it is. */
export type Tamper = (message: BackendMessage, connection: HostileConnection) => Buffer | undefined

/** The statement that wakes the attack carries this. */
export const trigger = '/* attack */'

/** One connection of the agent. */
export class HostileConnection {
  /** Everything that the agent has sent. */
  received = ''
  armed: boolean
  closed = false
  #buffer = Buffer.alloc(0)

  constructor(
    readonly agent: net.Socket,
    readonly server: net.Socket,
    private readonly tamper: Tamper | undefined,
    fromLogin: boolean,
  ) {
    this.armed = fromLogin
    agent.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
      this.armed ||= chunk.includes(trigger)
      server.write(chunk)
    })
    server.on('data', (chunk: Buffer) => this.#answers(chunk))
    const end = (): void => {
      this.closed = true
      agent.destroy()
      server.destroy()
    }
    for (const socket of [agent, server]) socket.on('close', end).on('error', end)
  }

  #answers(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    while (this.#buffer.length >= 5) {
      const length = this.#buffer.readInt32BE(1) + 1
      if (this.#buffer.length < length) return
      const whole = this.#buffer.subarray(0, length)
      this.#buffer = this.#buffer.subarray(length)
      const message = { type: String.fromCharCode(whole[0] ?? 0), body: whole.subarray(5) }
      this.agent.write((this.armed ? this.tamper?.(message, this) : undefined) ?? whole)
    }
  }
}

/**
 * A PostgreSQL server gone bad: the real one behind it answers, and a test bends the answers. So logins and the agent's own catalog
 * queries work, and each attack comes at the point that it is about.
 */
export class HostileTarget {
  readonly connections: HostileConnection[] = []
  #tamper: Tamper | undefined
  #fromLogin = false

  private constructor(
    readonly server: net.Server,
    readonly port: number,
  ) {}

  static async start(realPort: number): Promise<HostileTarget> {
    const server = net.createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const target = new HostileTarget(server, address.port)
    server.on('connection', (agent) => {
      target.connections.push(new HostileConnection(agent, net.connect(realPort, '127.0.0.1'), target.#tamper, target.#fromLogin))
    })
    return target
  }

  /** How connections from now on behave. */
  attack(tamper: Tamper | undefined, fromLogin = false): void {
    this.#tamper = tamper
    this.#fromLogin = fromLogin
  }

  get last(): HostileConnection {
    const connection = this.connections.at(-1)
    if (!connection) throw new Error('nobody has connected')
    return connection
  }

  stop(): void {
    for (const connection of this.connections) connection.agent.destroy()
    this.server.close()
  }
}
