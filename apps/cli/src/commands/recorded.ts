import { StringDecoder } from 'node:string_decoder'
import { asList, text, type Fields } from '../http/record.js'
import { visible, visibleBlock } from '../output/visible.js'

export type RecordedStream = 'o' | 'e' | 'i' | 'r'

export interface RecordedChunk {
  /** Milliseconds since the command began. */
  readonly at: number
  readonly stream: RecordedStream
  readonly bytes: Buffer
}

/** All that was recorded of one command. */
export interface Recorded {
  readonly command: string
  readonly terminal: boolean
  readonly chunks: readonly RecordedChunk[]
  readonly truncated: boolean
}

const streams: readonly string[] = ['o', 'e', 'i', 'r'] satisfies RecordedStream[]
const isStream = (name: string): name is RecordedStream => streams.includes(name)

/** The recordings among a session's events (which are in order), by command. */
export function recordings(events: readonly Fields[]): ReadonlyMap<string, Recorded> {
  const found = new Map<string, { chunks: RecordedChunk[]; truncated: boolean }>()
  for (const event of events) {
    if (text(event, 'kind') !== 'recording') continue
    const command = text(event, 'command')
    const recorded = found.get(command) ?? { chunks: [], truncated: false }
    found.set(command, recorded)
    recorded.chunks.push(...asList(event['chunks']).flatMap(chunkOf))
    recorded.truncated ||= event['truncated'] === true
  }
  return new Map([...found].map(([command, { chunks, truncated }]) => [command, { command, terminal: chunks[0]?.stream === 'r', chunks, truncated }]))
}

function chunkOf(chunk: Fields): RecordedChunk[] {
  const stream = text(chunk, 's')
  const at = Number(text(chunk, 't_us')) / 1000
  if (!isStream(stream) || !Number.isFinite(at)) return []
  return [{ at, stream, bytes: Buffer.from(text(chunk, 'd'), chunk['b'] === true ? 'base64' : 'utf8') }]
}

const marks: Readonly<Record<RecordedStream, string>> = { o: '|', e: '!', i: '>', r: '=' }

/** What a command printed, as lines of text that act on no terminal: `|` stdout, `!` stderr, `>` typed. */
export function recordedText({ command, terminal, chunks, truncated }: Recorded): string {
  const pieces: { stream: RecordedStream; text: string }[] = []
  const decoders = new Map<RecordedStream, StringDecoder>()
  for (const { stream, bytes } of chunks) {
    if (stream === 'r') continue
    const decoder = decoders.get(stream) ?? new StringDecoder('utf8')
    decoders.set(stream, decoder)
    const decoded = decoder.write(bytes)
    const last = pieces.at(-1)
    if (last?.stream === stream) last.text += decoded
    else pieces.push({ stream, text: decoded })
  }
  for (const [stream, decoder] of decoders) pieces.push({ stream, text: decoder.end() })
  const lines = pieces.filter((piece) => piece.text !== '').flatMap((piece) =>
    visibleBlock(piece.text.replace(/\r?\n$/, '')).split('\n').map((line) => `    ${marks[piece.stream]} ${line}`))
  if (truncated) lines.push('    … (the recording reached its limit here)')
  return [visible(`    #${command} ${terminal ? 'in its terminal' : 'printed'}:`), ...lines].join('\n')
}
