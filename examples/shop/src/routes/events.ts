import { type Request, Router } from 'express'
import { httpError } from '../errors.js'
import type { StreamTickets, Ticket } from '../stream-tickets.js'
import type { Streams } from '../streams.js'

/** Where an open page listens for the end of its session. Mounted before the sessions: it must not count as use. */
export function events(streams: Streams, tickets: StreamTickets): Router {
  const router = Router()

  // Whether there is still something to listen for: `EventSource` does not say why it was refused.
  router.head('/events', async (req, res) => {
    const deadline = await streams.deadlineOf(ticketOf(req))
    res
      .status(deadline === undefined ? 401 : 204)
      .set('Cache-Control', 'no-store')
      .end()
  })

  router.get('/events', (req, res) => streams.open(ticketOf(req), res))

  function ticketOf(req: Request): Ticket {
    const ticket = tickets.read(req.query.ticket)
    if (!ticket) throw httpError(401, 'Not signed in.')
    return ticket
  }

  return router
}
