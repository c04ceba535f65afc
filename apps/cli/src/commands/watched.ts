import { StringDecoder } from 'node:string_decoder'
import { TerminalSanitiser, terminalReset } from '@sallyport/kit'
import { asFields, text, type Fields } from '../http/record.js'
import { visible } from '../output/visible.js'
import { recordings, recordedText, type RecordedChunk } from './recorded.js'
import { replay } from './replay.js'

/** Where a watched session is shown. */
export interface WatchScreen {
  readonly columns: number
  readonly rows: number
  write(text: string): void
  /** Beside what the session shows. */
  say(text: string): void
}

/** One command's terminal, as it is shown. */
interface Shown {
  readonly command: string
  readonly sanitiser: TerminalSanitiser
  readonly decoder: StringDecoder
}

/**
 * A session as it goes on. At a terminal the first terminal of the session is shown as it is there, from its beginning, and
 * nothing is written between; without one, or where there is none, the record is printed line by line. Nothing but what the
 * sanitiser lets through reaches the viewer's terminal.
 */
export class Watched {
  readonly #screen: WatchScreen
  readonly #terminals: boolean
  #shown: Shown | undefined
  /** Commands that are over. */
  readonly #ended = new Set<string>()
  #told = ''

  constructor(screen: WatchScreen, terminals: boolean) {
    this.#screen = screen
    this.#terminals = terminals
  }

  /** The next event. */
  push(event: Fields): void {
    const command = text(event, 'command')
    const kind = text(event, 'kind')
    if (kind === 'command.end') this.#ended.add(command)
    if (this.#shown !== undefined) {
      if (command !== this.#shown.command) return
      if (kind === 'recording') return this.#show(this.#shown, event)
      if (kind !== 'command.end') return
      this.#leave()
    }
    if (kind !== 'recording') return this.#screen.write(`${replay([event])}\n`)
    const recorded = recordings([event]).get(command)
    if (recorded === undefined || this.#ended.has(command)) return
    if (this.#terminals && recorded.terminal) {
      this.#shown = { command, sanitiser: new TerminalSanitiser(), decoder: new StringDecoder('utf8') }
      return this.#show(this.#shown, event)
    }
    this.#screen.write(`${recordedText(recorded)}\n`)
  }

  /** The session is over, or has been watched enough. */
  end(): void {
    if (this.#shown) this.#leave()
  }

  #show({ command, sanitiser, decoder }: Shown, event: Fields): void {
    for (const chunk of recordings([event]).get(command)?.chunks ?? []) {
      if (chunk.stream === 'r') this.#sized(chunk)
      else if (chunk.stream === 'o' || chunk.stream === 'e') this.#screen.write(sanitiser.push(decoder.write(chunk.bytes)))
    }
    if (event['truncated'] === true) this.#screen.say('(the recording has reached its limit: no more of it can be seen)')
  }

  /** A viewer's terminal that is smaller shows it broken: that is said, once for each size. */
  #sized(chunk: RecordedChunk): void {
    const size = /^(\d{1,4})x(\d{1,4})$/.exec(chunk.bytes.toString('latin1'))
    const [columns, rows] = [Number(size?.[1] ?? 0), Number(size?.[2] ?? 0)]
    if ((columns <= this.#screen.columns && rows <= this.#screen.rows) || this.#told === size?.[0]) return
    this.#told = size?.[0] ?? ''
    this.#screen.say(`(the session's terminal is ${columns}x${rows}; this one has ${this.#screen.columns}x${this.#screen.rows})`)
  }

  #leave(): void {
    this.#shown = undefined
    this.#screen.write(`${terminalReset}\n`)
  }
}

/** Of an event of the watch: its own fields beside those of the record. */
export function eventOfWatch(item: Fields): Fields {
  const { event: _event, ...head } = item
  return { ...asFields(item['event']), ...head }
}

export function endText(item: Fields): string {
  return visible(`The session is over: ${text(item, 'reason')}.`)
}
