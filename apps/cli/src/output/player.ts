import { setTimeout as pause } from 'node:timers/promises'
import { TerminalSanitiser, terminalReset } from '@sallyport/kit'

export interface PlayedChunk {
  /** Milliseconds since the beginning. */
  readonly at: number
  readonly bytes: Uint8Array
}

export interface PlayOptions {
  /** 2 is twice as fast. `Infinity` shows the end at once. */
  readonly speed: number
  /** Longest time in which nothing happens, milliseconds. */
  readonly idleMilliseconds: number
  readonly out: NodeJS.WritableStream
  /** Ends the playing; the terminal is put in order all the same. */
  readonly signal?: AbortSignal
  /** Waits so many milliseconds. */
  readonly wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<unknown>
}

const wait = (milliseconds: number, signal: AbortSignal | undefined): Promise<unknown> => pause(milliseconds, undefined, signal ? { signal } : {})

/**
 * Plays what a terminal showed on the viewer's. Only what the sanitiser lets through is written, whatever was recorded,
 * and the terminal is reset afterwards.
 */
export async function play(chunks: readonly PlayedChunk[], options: PlayOptions): Promise<void> {
  const { speed, idleMilliseconds, out, signal } = options
  const sanitiser = new TerminalSanitiser()
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let at = chunks[0]?.at ?? 0
  try {
    for (const chunk of chunks) {
      const delay = Math.min(Math.max(0, chunk.at - at), idleMilliseconds) / speed
      at = chunk.at
      // What is shorter than a timer's tick would add up to a slower film.
      if (delay >= 1) await (options.wait ?? wait)(delay, signal)
      if (signal?.aborted) return
      await write(out, sanitiser.push(decoder.decode(chunk.bytes, { stream: true })))
    }
  } catch (error) {
    if (!signal?.aborted) throw error
  } finally {
    out.write(terminalReset + '\n')
  }
}

function write(out: NodeJS.WritableStream, text: string): Promise<void> {
  if (text === '' || out.write(text)) return Promise.resolve()
  return new Promise((resolve) => void out.once('drain', resolve))
}
