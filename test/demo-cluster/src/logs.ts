import { listAt, textAt, type JsonObject } from './json.js'
import { seedLog } from './seed.js'

interface Line {
  readonly time: string
  readonly text: string
}

/** Where a log goes. */
export interface LogSink {
  begin(): void
  write(text: string): void
  end(): void
  onClose(run: () => void): void
}

/** What containers have written: seeded lines, and what tests add. */
export class PodLogs {
  readonly #lines = new Map<string, Line[]>()
  readonly #followers = new Map<string, Set<(line: Line) => void>>()
  #closed = false

  /** Another line of a pod's first container. */
  add(namespace: string, pod: string, text: string): void {
    const key = `${namespace}/${pod}`
    const line = { time: new Date().toISOString(), text }
    this.#of(key, pod).push(line)
    for (const follower of this.#followers.get(key) ?? []) follower(line)
  }

  serve(namespace: string, pod: JsonObject, query: URLSearchParams, sink: LogSink): void {
    const name = textAt(pod, 'metadata', 'name')
    const key = `${namespace}/${name}`
    const container = textAt(listAt(pod, 'spec', 'containers')[0], 'name') || name
    const withTime = query.get('timestamps') === 'true'
    const shown = ({ time, text }: Line): string => `${withTime ? `${time} ` : ''}${text}\n`
    const tail = query.get('tailLines')
    const all = this.#of(key, container)
    sink.begin()
    for (const line of tail === null ? all : all.slice(Math.max(0, all.length - Number(tail)))) sink.write(shown(line))
    if (query.get('follow') !== 'true' || this.#closed) return sink.end()
    const followers = this.#followers.get(key) ?? new Set()
    this.#followers.set(key, followers)
    const follower = (line: Line): void => sink.write(shown(line))
    followers.add(follower)
    sink.onClose(() => followers.delete(follower))
  }

  close(): void {
    this.#closed = true
    this.#followers.clear()
  }

  #of(key: string, container: string): Line[] {
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    const made = seedLog(container).map((text) => ({ time: new Date().toISOString(), text }))
    this.#lines.set(key, made)
    return made
  }
}
