/** Streams of a remote command (exec, attach) by name. */
export type OutputName = 'stdout' | 'stderr'

/** Which streams there are: what the request's query says. */
export interface RemoteStreams {
  readonly stdin: boolean
  readonly stdout: boolean
  /** Never with a terminal: there both go one way. */
  readonly stderr: boolean
  readonly tty: boolean
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** The side toward who asked: it gets input and sends output. */
export interface RemoteCommandServer {
  /** False when the client takes no more until {@link drained}. */
  write(name: OutputName, bytes: Buffer): boolean
  drained(): Promise<void>
  pauseInput(): void
  resumeInput(): void
  /** The last word: how it ended (metav1.Status). Closes everything. */
  finish(status: RemoteStatus): void
  destroy(): void
}

export interface RemoteCommandServerHandlers {
  onInput(bytes: Buffer): void
  onInputEnd(): void
  onResize(size: TerminalSize): void
  /** The client has gone, or broke the protocol. Once. */
  onClose(error: Error | undefined): void
}

/** The side toward the container: it sends input and gets output. */
export interface RemoteCommandClient {
  write(bytes: Buffer): boolean
  drained(): Promise<void>
  endInput(): void
  resize(size: TerminalSize): void
  pauseOutput(): void
  resumeOutput(): void
  destroy(): void
}

export interface RemoteCommandClientHandlers {
  onOutput(name: OutputName, bytes: Buffer): void
  /** How it ended. Output that still comes has come by then. */
  onStatus(status: RemoteStatus): void
  /** Over. Without a status before, it was broken off. Once. */
  onClose(error: Error | undefined): void
}

/** As much of metav1.Status as says how a command ended. */
export interface RemoteStatus {
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  /** Set when the command itself ended with it. */
  readonly exitCode?: number
}

export const maxStatusBytes = 64 * 1024
export const maxResizeBytes = 256

export function encodeStatus({ status, message, reason, exitCode }: RemoteStatus): Buffer {
  return Buffer.from(
    JSON.stringify({
      metadata: {},
      status,
      ...(message === undefined ? {} : { message }),
      ...(exitCode === undefined ? (reason === undefined ? {} : { reason }) : { reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] } }),
      ...(status === 'Failure' && exitCode === undefined ? { code: 500 } : {}),
    }),
  )
}

/** What isn't a status is a failure that says so. */
export function decodeStatus(bytes: Buffer): RemoteStatus {
  const value = parsed(bytes)
  if (value === undefined) return { status: 'Failure', message: 'the status can not be read' }
  const text = (name: string): string | undefined => (typeof value[name] === 'string' ? value[name].slice(0, 4096) : undefined)
  const message = text('message')
  const reason = text('reason')
  const code = reason === 'NonZeroExitCode' ? exitCodeIn(value['details']) : undefined
  return {
    status: value['status'] === 'Success' ? 'Success' : 'Failure',
    ...(message === undefined ? {} : { message }),
    ...(reason === undefined ? {} : { reason }),
    ...(code === undefined ? {} : { exitCode: code }),
  }
}

export function encodeResize({ columns, rows }: TerminalSize): Buffer {
  return Buffer.from(JSON.stringify({ Width: columns, Height: rows }) + '\n')
}

export function decodeResize(bytes: Buffer): TerminalSize | undefined {
  const value = parsed(bytes)
  const size = (name: string): number => {
    const found = value?.[name]
    return typeof found === 'number' && Number.isInteger(found) && found >= 0 && found <= 65_535 ? found : -1
  }
  const columns = size('Width')
  const rows = size('Height')
  return columns < 0 || rows < 0 ? undefined : { columns, rows }
}

function exitCodeIn(details: unknown): number | undefined {
  if (typeof details !== 'object' || details === null || !('causes' in details) || !Array.isArray(details.causes)) return undefined
  for (const cause of details.causes) {
    const entry: unknown = cause
    if (typeof entry === 'object' && entry !== null && 'reason' in entry && entry.reason === 'ExitCode' && 'message' in entry && typeof entry.message === 'string' && /^\d{1,10}$/.test(entry.message)) return Number(entry.message)
  }
  return undefined
}

function parsed(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
