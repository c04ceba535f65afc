/** The agent has no live link to any gateway: nothing can be sent. */
export class AgentUnreachableError extends Error {
  override readonly name = 'AgentUnreachableError'
}

/** Messages to agents. The contract alone, so that rooms which agents' messages lead to can use it without a cycle. */
export abstract class AgentLinkService {
  /**
   * Signs the payload and sends it through one of the gateways that the agent is connected to, on whichever replica.
   * Delivery isn't confirmed: what must arrive is asked for again by the agent.
   * @param typ one of the kit's `jwsType`
   * @throws {AgentUnreachableError}
   */
  abstract send(agentId: string, typ: string, payload: object): Promise<void>
}
