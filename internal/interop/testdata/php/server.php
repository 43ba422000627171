<?php
// Serves both descriptions with SoapServer, as router of "php -S". WSDL_DIR has
// the descriptions, STATE is the file that keeps what was seen last.

require __DIR__ . '/view.php';

class Catalog
{
    public ?object $session = null;

    public function __construct(private SoapServer $server) {}

    private function remember(mixed $v): void
    {
        file_put_contents(getenv('STATE'), json_encode((object) view($v), JSON_THROW_ON_ERROR));
    }

    public function EchoOrder(object $in): array
    {
        $this->remember($in->order);
        if ($in->order->id === 'full') { // numbers have come as floats, and what the prefix means is lost
            $in->order->counter = raw('counter', '18446744073709551615');
            $in->order->serial = raw('serial', '-123456789012345678901234567890');
            $in->order->kind = raw('kind', 't:Person');
        }
        return ['order' => $in->order];
    }

    public function EchoParcel(object $parcel): object
    {
        $this->remember($parcel);
        return $parcel;
    }

    public function Seen(): array
    {
        return ['json' => file_get_contents(getenv('STATE'))];
    }

    public function Session(object $session): void // the header block
    {
        $this->session = $session;
    }

    public function Ping(object $in): array
    {
        $this->session->calls++;
        $this->server->addSoapHeader(new SoapHeader(ORDERS, 'Session', $this->session));
        return ['text' => $in->text];
    }

    public function Check(object $in): array
    {
        $details = [
            'stock' => ['OutOfStock', ['sku' => 'A-1', 'available' => 3]],
            'invalid' => ['InvalidOrder', ['reason' => ['no <id>', 'größer']]],
        ];
        if (isset($details[$in->kind])) {
            [$name, $detail] = $details[$in->kind];
            throw new SoapFault('Server', $name, null, $detail, $name);
        }
        if ($in->kind === 'denied') {
            throw new SoapFault('Client', getenv('HARD'));
        }
        if ($in->kind === 'broken') {
            throw new RuntimeException('the password is hunter2');
        }
        return ['ok' => true];
    }

    public function Notify(object $in): void
    {
        $this->remember($in);
    }

    public function Sum(object $in): array
    {
        $sum = $in->a + $in->b + $in->c;
        return ['sum' => $in->negative ? -$sum : $sum];
    }
}

class Inventory
{
    public function Add(int $a, int $b): int
    {
        return $a + $b;
    }

    public function Store(object $item, object $category, string $status): array
    {
        $path = [];
        for ($c = $category; $c; $c = $c->category[0] ?? null) {
            $path[] = $c->title;
        }
        return ['item' => $item, 'shelf' => implode('/', $path) . "/$status"];
    }
}

$name = trim(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH), '/');
$soap12 = str_contains($_SERVER['CONTENT_TYPE'] ?? '', 'soap+xml');
$server = new SoapServer(getenv('WSDL_DIR') . "/$name.wsdl", OPTIONS + ['soap_version' => $soap12 ? SOAP_1_2 : SOAP_1_1]);
$server->setObject($name === 'catalog' ? new Catalog($server) : new Inventory());
$server->handle();
