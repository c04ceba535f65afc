import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManagedProcess, type ProcessPlan } from './managed-process.js'
import { alive, Watchdog } from './watchdog.js'

const built = join(import.meta.dirname, '../../dist/process')
let directory: string
let watchdog: Watchdog
const unexpected: string[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  watchdog = new Watchdog()
  unexpected.length = 0
})
afterEach(async () => {
  await watchdog.finish()
  rmSync(directory, { recursive: true, force: true })
})

function managed(script: string, plan: Partial<ProcessPlan> = {}): ManagedProcess {
  const file = join(directory, 'script.mjs')
  writeFileSync(file, script)
  return new ManagedProcess(
    { name: 'it', argv: [file], env: {}, cwd: directory, logFile: join(directory, 'it.log'), readyTimeoutMilliseconds: 10_000, ...plan },
    watchdog,
    (process, how) => unexpected.push(`${process.name} ${how}`),
  )
}

const ready = `console.log(JSON.stringify({ level: 'info', message: 'ready', some_port: Number(process.env.PORT ?? 7) })); setInterval(() => {}, 1000)`

test('ready when its line says so; ended by pid; restarted with the same ports', async () => {
  const child = managed(`console.log('not json'); ${ready}`)
  await child.start()
  expect(child.port('some_port')).toBe(7)
  expect(() => child.port('other_port')).toThrow(/other_port/)
  const { pid } = child
  await child.stop()
  expect([alive(pid), unexpected]).toEqual([false, []])
  child.fix({ PORT: '8' })
  await child.start()
  expect([child.port('some_port'), child.pid === pid]).toEqual([8, false])
  await child.stop()
  expect(readFileSync(join(directory, 'it.log'), 'utf8').split('\n').filter((line) => line.includes('ready'))).toHaveLength(2)
})

test('an early end rejects with its last words', async () => {
  await expect(managed(`console.error('SALLYPORT_X: is missing'); process.exit(3)`).start()).rejects.toThrow(/exit code 3[\s\S]*SALLYPORT_X: is missing/)
})

test('silence rejects', async () => {
  await expect(managed('setInterval(() => {}, 1000)', { readyTimeoutMilliseconds: 300 }).start()).rejects.toThrow(/wasn't ready within 300 ms/)
})

test("kill -9 from outside is reported; a developer's shell doesn't leak in", async () => {
  process.env['SALLYPORT_TEST_LEAK'] = 'x'
  const child = managed(`if (process.env.SALLYPORT_TEST_LEAK) process.exit(1); ${ready}`)
  await child.start()
  delete process.env['SALLYPORT_TEST_LEAK']
  process.kill(child.pid, 'SIGKILL')
  await expect.poll(() => unexpected).toEqual(['it signal SIGKILL'])
})

test('when the runner is killed, the watchdog ends its children and removes its directory', async () => {
  const data = join(directory, 'data')
  const runner = join(directory, 'runner.mjs')
  writeFileSync(
    runner,
    `import { mkdirSync } from 'node:fs'; import { spawn } from 'node:child_process'
     import { Watchdog } from ${JSON.stringify(join(built, 'watchdog.js'))}
     mkdirSync(${JSON.stringify(data)})
     const watchdog = new Watchdog()
     const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })
     watchdog.started(child.pid); watchdog.directory(${JSON.stringify(data)}, true)
     setTimeout(() => console.log(JSON.stringify([child.pid, watchdog.pid])), 100); setInterval(() => {}, 1000)`,
  )
  const process_ = spawn(process.execPath, [runner], { stdio: ['ignore', 'pipe', 'inherit'] })
  const line = await new Promise<string>((resolve) => process_.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())))
  const pids: number[] = JSON.parse(line)
  expect(pids.map(alive)).toEqual([true, true])
  process_.kill('SIGKILL')
  await expect.poll(() => pids.some(alive) || existsSync(data), { timeout: 10_000 }).toBe(false)
})
