import type { SinkDestination } from '@sallyport/policy'
import { DeliveryError, type Sender } from '../delivery.js'
import { fieldsOf } from '../record.js'
import type { ShapedRecord } from '../shape.js'
import { expectSuccess, HttpReceiver, parseAnswer } from './http.js'
import { headersOf, tlsOptions, type ResolveSecret } from './secrets.js'

type Spec = Extract<SinkDestination, { kind: 'otlp' }>

/** ExportLogsServiceRequest in the JSON form of OTLP 1.x: 64-bit integers as text, enums as numbers. */
export function otlpRequest(batch: readonly ShapedRecord[], observedMs: number): object {
  const text = (value: string): object => ({ stringValue: value })
  const attribute = (key: string, value: string | undefined): object[] => (value === undefined ? [] : [{ key, value: text(value) }])
  return {
    resourceLogs: [
      {
        resource: { attributes: [...attribute('service.name', 'sallyport')] },
        scopeLogs: [
          {
            scope: { name: 'sallyport.audit' },
            logRecords: batch.map((record) => ({
              timeUnixNano: nanos(record),
              observedTimeUnixNano: String(BigInt(observedMs) * 1_000_000n),
              // INFO and WARN of the severity numbers.
              severityNumber: record.kind === 'alert' || record.decision === 'deny' ? 13 : 9,
              severityText: record.kind === 'alert' || record.decision === 'deny' ? 'WARN' : 'INFO',
              eventName: `sallyport.${record.kind}`,
              body: text(record.json),
              attributes: [
                ...attribute('log.record.uid', record.id), ...attribute('sallyport.position', String(record.position)), ...attribute('sallyport.kind', record.kind),
                ...attribute('session.id', record.session), ...attribute('sallyport.who', record.who), ...attribute('sallyport.target', record.target),
                ...attribute('sallyport.decision', record.decision),
              ],
            })),
          },
        ],
      },
    ],
  }
}

/** Nanoseconds since the epoch, with the microseconds that the text has and a number of milliseconds hasn't. */
function nanos({ time, millis }: ShapedRecord): string {
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? ''
  return String(BigInt(Math.floor(millis / 1000)) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')))
}

/** OTLP/HTTP with JSON. */
export async function otlpSender(spec: Spec, resolve: ResolveSecret, now: () => number = Date.now): Promise<Sender> {
  const headers = await headersOf(spec.headers, resolve)
  const receiver = new HttpReceiver(spec.url, await tlsOptions(spec.tls, resolve))
  return {
    async send(batch, signal) {
      const body = Buffer.from(JSON.stringify(otlpRequest(batch, now())))
      const answer = await receiver.request('POST', '', { ...headers, 'content-type': 'application/json' }, body, signal)
      expectSuccess(answer)
      const partial = fieldsOf(fieldsOf(answer.body === '' ? {} : parseAnswer(answer))['partialSuccess'])
      const refused = Number(partial['rejectedLogRecords'] ?? 0)
      // Which ones isn't said: in halves it shows. Those that were taken come again, which at-least-once allows and losing one doesn't.
      if (refused > 0) throw new DeliveryError('rejected', 'OTLP_PARTIAL_SUCCESS', `the receiver refused ${refused} of ${batch.length} log records`)
      return []
    },
    close: () => Promise.resolve(receiver.close()),
  }
}
