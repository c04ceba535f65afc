import { ApiProblem, asStream, given, ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, say } from '../context.js'
import { eventData, type ControlPlane } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { visibleJson } from '../output/visible.js'
import { sessionHead } from './session-head.js'
import { endText, eventOfWatch, Watched } from './watched.js'

const retryMilliseconds = 1000
const maxFailures = 10

export function watchCommand(sessions: Command): void {
  sessions.command('watch')
    .description('follow a running session: what its terminal shows, or its commands one by one; Ctrl-C ends the watching')
    .argument('<id>')
    .action(async (id: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      const session = await ok(api.rest.GET('/v1/sessions/{id}', { params: { path: { id } } }))
      const enough = new AbortController()
      const onSignal = (): void => enough.abort()
      process.once('SIGINT', onSignal)
      try {
        if (printer.format === 'table') await watch(api, id, session, enough.signal)
        else for await (const item of follow(api, id, enough.signal)) process.stdout.write(`${visibleJson(JSON.stringify(item))}\n`)
      } finally {
        process.off('SIGINT', onSignal)
      }
    })
}

async function watch(api: ControlPlane, id: string, session: Fields, signal: AbortSignal): Promise<void> {
  const { stdout } = process
  stdout.write(`${sessionHead(session)}\n\n`)
  const watched = new Watched(
    {
      get columns() {
        return stdout.columns
      },
      get rows() {
        return stdout.rows
      },
      write: (shown) => void stdout.write(shown),
      say,
    },
    stdout.isTTY,
  )
  let end: Fields | undefined
  try {
    for await (const item of follow(api, id, signal)) {
      if (text(item, 'kind') === 'end') end = item
      else watched.push(eventOfWatch(item))
    }
  } finally {
    watched.end()
  }
  if (end) say(endText(end))
}

/** Events until the session's end. A watch lasts minutes only, and connections break: it is taken up where it was. */
async function* follow(api: ControlPlane, id: string, signal: AbortSignal): AsyncGenerator<Fields> {
  let cursor: string | undefined
  let failures = 0
  while (!signal.aborted) {
    try {
      for await (const item of eventData(api.rest.GET('/v1/sessions/{id}/watch', { params: { path: { id }, query: given({ cursor }) }, ...asStream(signal) }))) {
        failures = 0
        yield item
        if (text(item, 'kind') === 'end') return
        cursor = text(item, 'position') || cursor
      }
    } catch (error) {
      if (signal.aborted) return
      // What the control plane says is its answer; a connection that broke is tried again.
      if (error instanceof ApiProblem || ++failures > maxFailures) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, failures > 0 ? retryMilliseconds : 0))
  }
}
