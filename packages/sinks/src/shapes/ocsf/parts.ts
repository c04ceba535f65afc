import { isIP } from 'node:net'
import { actorOf } from '../../outcome.js'
import { present, textOf, type ReadEvent } from '../../record.js'

/** Objects that several classes have. Each holds at least one of the attributes that the schema asks for. */

/** A network endpoint. Where the address isn't known, one of that name: the classes require an endpoint. */
export function endpoint(address: string | undefined): object {
  if (address === undefined) return { name: 'unknown' }
  return isIP(address) === 0 ? { name: address } : { ip: address }
}

export const target = ({ head }: ReadEvent): object => ({ name: textOf(head['target']) ?? 'unknown' })

/** A user; where the event names none, `unknown`. */
export const user = (name: string | undefined): object => (name === undefined ? { name: 'unknown', type_id: 0, type: 'Unknown' } : { name })

export const session = ({ head, event }: ReadEvent): object | undefined => {
  const uid = textOf(head['session']) ?? textOf(event['session'])
  return uid === undefined ? undefined : { uid }
}

export const actor = (read: ReadEvent): object => present({ user: user(actorOf(read)), session: session(read) })
