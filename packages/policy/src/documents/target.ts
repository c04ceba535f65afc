import { z } from 'zod'
import { exactlyOne, labelsField, nameField, refuse, suggestFor, textField } from './fields.js'
import type { DocumentContext } from './context.js'

const agents = z.strictObject({ labels: labelsField.meta({ description: 'An agent serves the target when it has all these labels.' }) })

/** Common part of every Target; the protocol's own part stands under the protocol's name. */
export const targetFields = {
  protocol: textField.meta({ description: 'The protocol it speaks, e.g. `postgres`.' }),
  agent: nameField.optional().meta({ description: 'The agent that serves it.' }),
  agents: agents.optional().meta({ description: 'Or: any agent with these labels.' }),
  credentials: z.enum(['any', 'exchanged']).prefault('any').meta({
    description: 'What a client may prove itself with: `any`, also an identity token as the password; `exchanged`, only a credential that was made for this target.',
  }),
}

export function targetSpec(context: DocumentContext) {
  return z.looseObject(targetFields).transform(({ protocol, agent, agents, credentials, ...rest }, refusals) => {
    const connection = ownPart(protocol, rest, context, (message, path, suggestion) => {
      refuse(refusals, message, { path, suggestion })
    })
    exactlyOne({ agent, agents }, ['agent', 'agents'], refusals, 'a target')
    return {
      protocol,
      ...(agent === undefined ? {} : { agent }),
      ...(agents === undefined ? {} : { agents }),
      credentials,
      /** The protocol's own part, as its descriptor returned it: a grant carries it as `target.spec`. */
      connection,
    }
  })
}

type Refuse = (message: string, path: (string | number)[], suggestion?: string) => void

function ownPart(
  protocol: string,
  rest: Readonly<Record<string, unknown>>,
  context: DocumentContext,
  refuseAt: Refuse,
): Readonly<Record<string, unknown>> {
  const known = Object.keys(context.actionTrees)
  if (known.length > 0 && !known.includes(protocol)) {
    refuseAt(`unknown protocol "${protocol}"; known: ${known.join(', ')}`, ['protocol'], suggestFor(protocol, known))
    return {}
  }
  for (const key of Object.keys(rest)) {
    if (key === protocol) continue
    const words = [...Object.keys(targetFields), protocol]
    refuseAt(`unknown key "${key}" in a ${protocol} target; known: ${words.join(', ')}`, [key], suggestFor(key, words))
  }
  if (!Object.hasOwn(rest, protocol)) {
    refuseAt(`needs the key "${protocol}" with the target's address and credential references`, [])
    return {}
  }
  try {
    return context.parseTargetSpec(protocol, rest[protocol])
  } catch (error) {
    refuseAt(error instanceof Error ? error.message : 'is not valid', [protocol, ...pathOf(error)])
    return {}
  }
}

/** The descriptor's error carries a path inside the part; other errors point at the part as a whole. */
function pathOf(error: unknown): (string | number)[] {
  const path: unknown = typeof error === 'object' && error !== null && 'path' in error ? error.path : undefined
  return Array.isArray(path) ? path.filter((step): step is string | number => typeof step === 'string' || typeof step === 'number') : []
}
