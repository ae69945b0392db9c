import http from 'node:http'
import { workloads } from './workloads.js'

/** So many people send the requests, one after the other: after a round of them nobody is new. */
export const PEOPLE = 20

/** Sends the requests of workloads, one at a time on a connection that stays open. A wrong answer is an error. */
export function createRequester() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const turns = new Map()

  return {
    ask(workload, { url, cookies }) {
      const turn = turns.get(url) ?? 0
      turns.set(url, turn + 1)
      const cookie = cookies[turn % Math.min(PEOPLE, cookies.length)]
      const headers = cookie === undefined ? {} : { cookie }
      return new Promise((resolve, reject) => {
        http
          .get(url, { agent, headers }, (res) => {
            let text = ''
            res.setEncoding('utf8').on('data', (chunk) => {
              text += chunk
            })
            res.on('end', () => {
              if (res.statusCode === 200 && workloads[workload].answer.test(text)) resolve()
              else reject(new Error(`${workload}: it answers ${res.statusCode} ${text}`))
            })
          })
          .on('error', reject)
      })
    },
    close: () => agent.destroy(),
  }
}
