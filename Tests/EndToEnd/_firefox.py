"""Debian's Firefox without geckodriver: WebDriver BiDi over its own websocket."""
import asyncio
import json
import os
import shutil
import subprocess
import tempfile

import aiohttp

PREFERENCES = {
    "media.navigator.streams.fake": True, "media.navigator.permission.disabled": True, "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False, "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0,
    "media.gmp-manager.updateEnabled": False, "media.devices.insecure.enabled": True, "media.getusermedia.insecure.enabled": True,
    "app.update.enabled": False, "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False, "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False, "extensions.update.enabled": False, "services.settings.server": "http://127.0.0.1:9/",
    "remote.active-protocols": 1, "browser.shell.checkDefaultBrowser": False,
}


class Firefox:
    """`async with Firefox(port) as firefox:` one headless Firefox with a profile of its own; accepts the cluster's certificate."""

    def __init__(self, port, preferences={}):
        self.port, self.last, self.preferences = port, 0, {**PREFERENCES, **preferences}

    async def __aenter__(self):
        self.profile = tempfile.mkdtemp(prefix="troupe-firefox-")
        with open(f"{self.profile}/user.js", "w") as file:
            for name, value in self.preferences.items():
                file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        with open(f"{self.profile}/log", "w") as log:
            self.process = subprocess.Popen(
                ["firefox-esr", "--headless", "--no-remote", "--profile", self.profile, f"--remote-debugging-port={self.port}"],
                stdout=log, stderr=log, env={**os.environ, "MOZ_HEADLESS": "1", "HOME": self.profile})
        self.http = aiohttp.ClientSession()
        for _ in range(300):
            try:
                self.socket = await self.http.ws_connect(f"http://127.0.0.1:{self.port}/session", max_msg_size=0)
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        else:
            raise AssertionError("Firefox did not open its remote port within 30 s: " + open(f"{self.profile}/log").read()[-500:])
        await self.command("session.new", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": True}}})
        return self

    async def __aexit__(self, *_):
        await self.http.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    async def command(self, method, parameters):
        self.last += 1
        number = self.last
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self.socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise AssertionError(f"Firefox closed its remote connection: {message}")
            answer = json.loads(message.data)
            if answer.get("id") == number:
                if answer.get("type") == "error":
                    raise AssertionError(f"{method}: {answer.get('error')}: {answer.get('message')}")
                return answer["result"]

    async def tab(self, url, before=None):
        if before:
            await self.command("script.addPreloadScript", {"functionDeclaration": "() => {" + before + "}"})
        context = (await self.command("browsingContext.create", {"type": "tab"}))["context"]
        await self.command("browsingContext.navigate", {"context": context, "url": url, "wait": "complete"})
        return context

    async def run(self, context, function, argument=None):
        """Calls a JavaScript function with one JSON argument; gives its JSON result."""
        result = await self.command("script.callFunction", {
            "functionDeclaration": f"async a => JSON.stringify(await ({function})(JSON.parse(a)) ?? null)", "awaitPromise": True,
            "target": {"context": context}, "arguments": [{"type": "string", "value": json.dumps(argument)}]})
        if result["type"] != "success":
            raise AssertionError(result["exceptionDetails"]["text"])
        return json.loads(result["result"].get("value", "null"))
