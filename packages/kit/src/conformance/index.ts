import type { ConformanceClient, ConformanceDriver, Outcome, RecordedCommand } from './driver.js'

export type * from './driver.js'

export interface ConformanceCase {
  readonly name: string
  /** Set when the protocol excludes the case: why. */
  readonly excluded?: string
  run(driver: ConformanceDriver): Promise<void>
}

/**
 * What every protocol has to show against the running system (style rule 24). Usage, in any test runner:
 * `for (const one of conformanceCases(driver)) test(one.name, () => one.run(driver))`.
 */
export function conformanceCases(driver: Pick<ConformanceDriver, 'exclusions'>): readonly ConformanceCase[] {
  return Object.entries(cases).map(([name, run]) => {
    const excluded = driver.exclusions?.[name]
    return excluded === undefined ? { name, run } : { name, excluded, run }
  })
}

const cases: Readonly<Record<string, (driver: ConformanceDriver) => Promise<void>>> = {
  'an allowed command runs, and is on record with its end': async (driver) => {
    const marker = markerOf('allowed')
    await withClient(driver, async (client) => {
      const outcome = await client.run(driver.commands.allowed(marker))
      check(outcome.ok && outcome.output.includes(marker), 'the command ran', outcome)
    })
    const record = await recordOf(driver, marker, (found) => found.end !== undefined)
    check(record.decision === 'allow' && record.end === 'ok', 'it is on record as allowed and ended', record)
  },

  'a denied command is refused natively, changes nothing, and leaves the connection usable': async (driver) => {
    const marker = markerOf('denied')
    await withClient(driver, async (client) => {
      const outcome = await client.run(driver.commands.denied(marker))
      check(!outcome.ok && outcome.code !== undefined, 'it is refused with a native code', outcome)
      const again = await client.run(driver.commands.allowed(markerOf('after')))
      check(again.ok, 'the connection is usable', again)
    })
    check((await driver.effects(marker)) === 0, 'the target is unchanged')
    check((await recordOf(driver, marker)).decision === 'deny', 'the denial is on record')
  },

  'a held command runs once after its approval': async (driver) => {
    const marker = markerOf('approve')
    await withClient(driver, async (client) => {
      const outcome = client.start(driver.commands.held(marker))
      const told = await client.told()
      const approval = await driver.pending(marker)
      check(told.includes(approval), 'the client is told the link of its approval', told)
      check((await driver.effects(marker)) === 0, 'nothing has run yet')
      await driver.approve(approval)
      const done = await outcome
      check(done.ok, 'it runs', done)
    })
    check((await driver.effects(marker)) === 1, 'it ran exactly once')
  },

  'a held command that is rejected does not run': async (driver) => {
    const marker = markerOf('reject')
    await withClient(driver, async (client) => {
      const outcome = client.start(driver.commands.held(marker))
      await client.told()
      await driver.reject(await driver.pending(marker), 'because of conformance')
      const done = await outcome
      check(!done.ok && done.output.includes('because of conformance'), 'the client learns the reason', done)
      check((await client.run(driver.commands.allowed(markerOf('after')))).ok, 'the connection is usable')
    })
    check((await driver.effects(marker)) === 0, 'nothing ran')
  },

  'a held command whose client cancels does not run': async (driver) => {
    const marker = markerOf('cancel')
    await withClient(driver, async (client) => {
      const outcome = client.start(driver.commands.held(marker))
      await client.told()
      const approval = await driver.pending(marker)
      await client.cancel()
      check(!(await outcome).ok, 'it fails')
      await until(async () => (await driver.approvalState(approval)) === 'cancelled', 'the approval is cancelled')
    })
    check((await driver.effects(marker)) === 0, 'nothing ran')
  },

  'a held command whose client goes away does not run': async (driver) => {
    const marker = markerOf('disconnect')
    const client = await driver.connect()
    client.start(driver.commands.held(marker)).catch(() => undefined)
    await client.told()
    const approval = await driver.pending(marker)
    client.destroy()
    await until(async () => (await driver.approvalState(approval)) === 'cancelled', 'the approval is cancelled')
    await driver.approve(approval).catch(() => undefined)
    check((await driver.effects(marker)) === 0, 'nothing ran, not even after a late approval')
  },

  'a masked value reaches neither the client nor the record': async (driver) => {
    const marker = markerOf('mask')
    await withClient(driver, async (client) => {
      const outcome = await client.run(driver.commands.masked(marker))
      check(outcome.ok, 'it runs', outcome)
      check(!outcome.output.includes(driver.secret), 'the client does not see the secret')
    })
    const record = await recordOf(driver, marker, (found) => found.end !== undefined)
    check(!record.text.includes(driver.secret), 'the record does not hold the secret')
    check((record.masked ?? 0) > 0, 'what was masked is counted', record)
  },

  'an error text does not carry a masked value': async (driver) => {
    const marker = markerOf('error')
    await withClient(driver, async (client) => {
      const outcome = await client.run(driver.commands.leakingError(marker))
      check(!outcome.ok, 'it fails', outcome)
      check(!outcome.output.includes(driver.secret), 'the error does not hold the secret', outcome)
    })
    const record = await recordOf(driver, marker, (found) => found.end !== undefined)
    check(!record.text.includes(driver.secret), 'the record does not hold the secret')
  },

  'a running command is cancelled': async (driver) => {
    const marker = markerOf('endless')
    await withClient(driver, async (client) => {
      const outcome = client.start(driver.commands.endless(marker))
      await until(() => driver.running(marker), 'it runs')
      await client.cancel()
      check(!(await outcome).ok, 'it fails')
      check((await client.run(driver.commands.allowed(markerOf('after')))).ok, 'the connection is usable')
    })
  },

  'an unknown message ends the connection, and nothing behind it runs': async (driver) => {
    const marker = markerOf('violate')
    const client = await driver.connect()
    await client.violate()
    client.start(driver.commands.allowed(marker)).catch(() => undefined)
    await client.ended()
    check((await driver.recorded(marker)) === undefined, 'nothing behind it was taken for a command')
  },

  'a client that does not read holds no memory and delays nobody': async (driver) => {
    const marker = markerOf('slow')
    const before = await driver.memory()
    const slow = await driver.connect()
    slow.stopReading()
    slow.start(driver.commands.large(marker)).catch(() => undefined)
    await until(() => recordedAtAll(driver, marker), 'the large command is on record')
    await withClient(driver, async (client) => {
      check((await client.run(driver.commands.allowed(markerOf('beside')))).ok, 'another client is served')
    })
    check((await driver.memory()) - before < 48 * 1024 * 1024, 'memory stays bounded')
    slow.destroy()
  },

  'kill -9 of the agent in mid-command: recorded before it ran, closed after the restart, chain whole': async (driver) => {
    const marker = markerOf('kill')
    const client = await driver.connect()
    client.start(driver.commands.endless(marker)).catch(() => undefined)
    await until(() => driver.running(marker), 'it runs')
    check(await driver.spooled(marker), 'it was on disk before it ran')
    await driver.killAgent()
    await client.ended()
    await until(async () => !(await driver.running(marker)), 'it ends at the target')
    await driver.restartAgent()
    const record = await recordOf(driver, marker, (found) => found.end !== undefined)
    check(record.end === 'unknown', 'its end is on record as unknown', record)
    const problem = await driver.chainProblem()
    check(problem === undefined, 'the chain verifies', problem)
  },
}

/** A case failed: says which step, and what was there instead. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError'
}

function check(holds: boolean, what: string, found?: Outcome | RecordedCommand | string): void {
  if (!holds) throw new ConformanceError(`not so: ${what}${found === undefined ? '' : `; found ${JSON.stringify(found).slice(0, 1500)}`}`)
}

let count = 0

function markerOf(name: string): string {
  count += 1
  return `conf_${name}_${process.pid}_${count}`
}

async function withClient(driver: ConformanceDriver, use: (client: ConformanceClient) => Promise<void>): Promise<void> {
  const client = await driver.connect()
  try {
    await use(client)
  } finally {
    client.destroy()
  }
}

async function recordedAtAll(driver: ConformanceDriver, marker: string): Promise<boolean> {
  return (await driver.recorded(marker)) !== undefined
}

async function recordOf(driver: ConformanceDriver, marker: string, complete: (record: RecordedCommand) => boolean = () => true): Promise<RecordedCommand> {
  let last: RecordedCommand | undefined
  await until(async () => {
    last = await driver.recorded(marker)
    return last !== undefined && complete(last)
  }, `${marker} is on record`)
  if (!last) throw new ConformanceError(`${marker} is not on record`)
  return last
}

async function until(holds: () => Promise<boolean>, what: string, milliseconds = 30_000): Promise<void> {
  const deadline = Date.now() + milliseconds
  while (!(await holds())) {
    if (Date.now() > deadline) throw new ConformanceError(`never so: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
