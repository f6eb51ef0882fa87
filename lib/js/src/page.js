/*
 * The life of a page: events of window and document, where there are any.
 */

export class PageLife {
    #listeners = [];

    constructor(handlers) {
        this.handlers = handlers;
    }

    get isOffline() {
        return globalThis.navigator?.onLine === false;
    }

    attach() {
        const { onSuspend, onResume, onLook } = this.handlers;
        this.#listen(globalThis, "pagehide", (event) => event.persisted && onSuspend());
        this.#listen(globalThis, "pageshow", (event) => event.persisted && onResume());
        this.#listen(globalThis, "online", () => onResume());
        this.#listen(globalThis, "offline", () => onLook());
        this.#listen(globalThis.document, "resume", () => onLook());
        this.#listen(globalThis.document, "visibilitychange", () => globalThis.document.visibilityState === "visible" && onLook());
    }

    #listen(target, name, handler) {
        if (typeof target?.addEventListener !== "function")
            return;
        target.addEventListener(name, handler);
        this.#listeners.push(() => target.removeEventListener(name, handler));
    }

    detach() {
        for (const remove of this.#listeners.splice(0))
            remove();
    }
}
