import { problemOf } from './problem.js'

export interface ServerEvent {
  /** `message` when the server names none. */
  readonly event: string
  readonly data: string
  /** Of the last event that had one. */
  readonly id: string
}

/** An event longer than this is not ours. */
const maxEventCharacters = 16 * 1024 * 1024

/** How to ask for a stream: `readEvents(api.GET('/v1/approvals/stream', asStream(signal)))`. */
export function asStream(signal?: AbortSignal): { parseAs: 'stream'; headers: { accept: string }; signal?: AbortSignal } {
  return { parseAs: 'stream', headers: { accept: 'text/event-stream' }, ...(signal ? { signal } : {}) }
}

interface StreamOutcome {
  readonly data?: ReadableStream<Uint8Array> | null
  readonly error?: unknown
  readonly response: Response
}

/**
 * Server-sent events (HTML standard, 9.2.6), one by one, until the server ends the stream. Leaving the loop closes it.
 * @throws {ApiProblem} when the control plane refused
 */
export async function* readEvents(call: Promise<StreamOutcome>): AsyncGenerator<ServerEvent, void> {
  const { data, error, response } = await call
  if (!response.ok || !data) throw problemOf(response.status, error)
  let fields: EventFields = { event: '', data: [] }
  let id = ''
  for await (const line of lines(data)) {
    if (line === '') {
      if (fields.data.length > 0) yield { event: fields.event || 'message', data: fields.data.join('\n'), id }
      fields = { event: '', data: [] }
      continue
    }
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') fields.event = value
    else if (name === 'data') fields.data.push(value)
    else if (name === 'id' && !value.includes('\0')) id = value
  }
}

interface EventFields {
  event: string
  readonly data: string[]
}

/** Lines end with LF, CRLF or CR, and chunks end anywhere: also between CR and LF. */
async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  let endedWithCr = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const text = decoder.decode(value, { stream: true })
      if (text === '') continue
      rest += endedWithCr && text.startsWith('\n') ? text.slice(1) : text
      endedWithCr = text.endsWith('\r')
      if (rest.length > maxEventCharacters) throw new Error('a line of the event stream is too long')
      const found = rest.split(/\r\n|\n|\r/)
      rest = found.pop() ?? ''
      yield* found
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
