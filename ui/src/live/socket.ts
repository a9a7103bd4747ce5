/**
 * One WebSocket for everything. It reconnects for ever (0.3 s, then longer, at most 5 s) and then
 * asks again for what is wanted; whoever listens need not know that it was gone.
 */

export interface Message {
  topic: string;
  seq: number;
  data: unknown;
}

type Order = { op: string; topic?: string; [key: string]: unknown };

const FIRST_WAIT = 300;
const LONGEST_WAIT = 5000;
const SILENCE = 45_000; // the hub pings every 20 s; a browser can't see pings, so this is only a belt

export class Live {
  onMessages: (messages: Message[]) => void = () => {};
  onLink: (up: boolean, refused: boolean) => void = () => {};
  #socket: WebSocket | null = null;
  #wanted = new Map<string, () => Order>();
  #wait = FIRST_WAIT;
  #timer = 0;
  #heard = 0;

  constructor(readonly url: string) {}

  start(): void {
    this.#open();
    setInterval(() => this.#check(), 5000);
    document.addEventListener("visibilitychange", () => this.#send(this.#paceNow()));
    // A laptop that wakes up should not wait for the next try.
    addEventListener("online", () => this.#retryNow());
  }

  subscribe(topic: string): () => void {
    return this.want(topic, () => ({ op: "sub", topic }));
  }

  /** Ask for something under a name, and again after each break; the returned function ends it. */
  want(topic: string, order: () => Order): () => void {
    this.#wanted.set(topic, order);
    this.#send(order());
    return () => {
      if (this.#wanted.get(topic) !== order) return;
      this.#wanted.delete(topic);
      this.#send({ op: "unsub", topic });
    };
  }

  /** Ask again for what is wanted under a name: what the hub said first is needed once more. */
  renew(topic: string): void {
    const order = this.#wanted.get(topic);
    if (!order) return;
    this.#send({ op: "unsub", topic });
    this.#send(order());
  }

  #open(): void {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#wait = FIRST_WAIT;
      this.#heard = Date.now();
      this.onLink(true, false);
      this.#send(this.#paceNow());
      for (const order of this.#wanted.values()) this.#send(order());
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      this.#heard = Date.now();
      this.onMessages(JSON.parse(event.data) as Message[]);
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.onLink(false, !opened);
      this.#timer = window.setTimeout(() => this.#open(), this.#wait * (0.7 + 0.6 * Math.random()));
      this.#wait = Math.min(LONGEST_WAIT, this.#wait * 1.7);
    };
  }

  #check(): void {
    if (this.#socket?.readyState === WebSocket.OPEN && this.#wanted.has("stats") && Date.now() - this.#heard > SILENCE) {
      this.#socket.close();
    }
  }

  #retryNow(): void {
    if (!this.#socket) this.#open();
  }

  #paceNow(): Order {
    return { op: "pace", seconds: document.hidden ? 5 : 0 };
  }

  #send(order: Order): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(order));
  }
}
