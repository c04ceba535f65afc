import type { Command } from 'commander'
import { readConnection, type GlobalOptions } from './config.js'
import { usageError } from './errors.js'
import { ControlPlane } from './http/control-plane.js'
import { Printer, type Format } from './output/printer.js'

/** What every command gets: where to ask and how to answer. */
export interface CommandContext {
  readonly api: ControlPlane
  readonly printer: Printer
}

/** Built from the global options at the moment a command runs. */
export function contextOf(command: Command): CommandContext {
  const options = command.optsWithGlobals<GlobalOptions & { output?: string }>()
  return { api: new ControlPlane(readConnection(options, process.env)), printer: printerOf(command) }
}

/** For commands that work without a control plane. */
export function printerOf(command: Command): Printer {
  const { output = 'table' } = command.optsWithGlobals<{ output?: string }>()
  return new Printer(output === 'json' || output === 'yaml' ? output : ('table' satisfies Format))
}

/** To stderr, for people. */
export function say(text: string): void {
  process.stderr.write(text + '\n')
}

/** `15m`, `1h30m`, `90s` → seconds. */
export function durationSeconds(value: string): number {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(value)
  const seconds = Number(match?.[1] ?? 0) * 3600 + Number(match?.[2] ?? 0) * 60 + Number(match?.[3] ?? 0)
  if (value === '' || match === null || seconds === 0) throw usageError(`'${value}' is no duration`, 'write it like 15m, 1h30m or 90s')
  return seconds
}

/** A point in time: RFC 3339, or a duration back from now (`2h`). */
export function instant(value: string): string {
  if (/^\d+[hms]/.test(value)) return new Date(Date.now() - durationSeconds(value) * 1000).toISOString()
  const time = Date.parse(value)
  if (Number.isNaN(time)) throw usageError(`'${value}' is no time`, 'write it like 2026-01-31T12:00:00Z, or 2h for two hours ago')
  return new Date(time).toISOString()
}

export function whole(value: string): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw usageError(`'${value}' is no whole number above 0`)
  return number
}
