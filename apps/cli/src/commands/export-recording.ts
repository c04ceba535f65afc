import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { given } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, say, whole } from '../context.js'
import { asDownload, download } from '../http/control-plane.js'
import { visible, visibleJson } from '../output/visible.js'

interface ExportOptions {
  readonly output?: string
  readonly command?: number
  readonly raw?: true
}

export function exportRecording(sessions: Command): void {
  sessions.command('export')
    .description('the recording as an asciicast v3 file, for asciinema and its players')
    .argument('<id>')
    .option('--output <file>', 'write to this file, readable by you alone (default: print it)')
    .option('--command <number>', 'this command only', whole)
    .option('--raw', 'as recorded, with what could act on the terminal that plays it: play it in a sandbox only')
    .action(async (id: string, options: ExportOptions, command: Command) => {
      const { api } = contextOf(command)
      const query = given({ command: options.command, raw: options.raw ? ('true' as const) : undefined })
      const cast = await download(api.rest.GET('/v1/sessions/{id}/recording', { params: { path: { id }, query }, ...asDownload('application/x-asciicast') }))
      if (options.output !== undefined) {
        await pipeline(cast, createWriteStream(options.output, { mode: 0o600 }))
        say(visible(`Wrote ${options.output}`))
        return
      }
      // Still the same JSON, but nothing in it acts on the terminal.
      cast.setEncoding('utf8')
      for await (const part of cast) process.stdout.write(visibleJson(String(part)))
    })
}
